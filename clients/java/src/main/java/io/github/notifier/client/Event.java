package io.github.notifier.client;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.time.Instant;
import java.util.Objects;
import java.util.UUID;

/**
 * An event to report: its CloudEvents type, its data (a record of {@code io.github.notifier.client.events}, or anything
 * that Jackson writes as a JSON object), and its id.
 *
 * <p>Give an id wherever your own records have one: it keeps a report that is made twice from being told twice.
 *
 * @param subject what the event is about, or null
 * @param time when it happened, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Event(String type, Object data, String id, String subject, Instant time) {
    public Event {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(data, "data");
        Objects.requireNonNull(id, "id");
    }

    /** Makes an event with the id that your own records have. */
    public Event(String type, Object data, String id) {
        this(type, data, id, null, null);
    }

    /** Makes an event with a random id. */
    public Event(String type, Object data) {
        this(type, data, UUID.randomUUID().toString());
    }

    /** The type only: data may be personal. */
    @Override
    public String toString() {
        return "Event[" + type + " " + id + "]";
    }
}
