// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event charging.resumed.
 *
 * @param sessionId The charging session
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ChargingResumed(
        @JsonProperty("session_id") String sessionId) {
    public ChargingResumed {
        Objects.requireNonNull(sessionId, "sessionId");
    }
}
