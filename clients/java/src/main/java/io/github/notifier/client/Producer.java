package io.github.notifier.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeoutException;

/**
 * Reports events over HTTP; threads share a producer, and so its batches.
 *
 * <p>Concurrent calls travel together: at once where none is under way, and else with the next request. What the service
 * could not take for the moment is sent again, which an event's source and id make harmless. A call returns when its events
 * are accepted, which means that they are in the service's database.
 *
 * <pre>{@code
 * try (var producer = Producer.builder("https://notifier.example.com", key, "csms/berlin").build()) {
 *     producer.send(new Event("charging.complete", data, "a-17"));
 * }
 * }</pre>
 */
public final class Producer implements AutoCloseable {
    static final String VERSION = "1.0.0";

    private final Duration timeout;
    private final String source;
    private final URI uri;
    private final Sender sender;

    private Producer(Builder builder) throws IOException {
        timeout = builder.timeout;
        source = builder.source;
        uri = builder.uri;
        Spool spool = builder.spool == null ? null : new Spool(builder.spool, builder.spoolBytes);
        sender = new Sender(new Exchange(uri, builder.key, builder.requestTimeout), spool);
    }

    /**
     * Begins a producer.
     *
     * @param url the service's address, such as {@code https://notifier.example.com}
     * @param key an API key with the scope {@code events:write}
     * @param source who reports; with an event's id it says which event it is
     */
    public static Builder builder(String url, String key, String source) {
        return new Builder(url, key, source);
    }

    /**
     * Reports one event, and returns the id that it has in the service.
     *
     * @throws Problem where the event is refused
     * @throws ServiceUnavailableException where it was not taken in time; it may be sent again later
     * @throws IllegalArgumentException where its data can't be written as JSON
     * @throws IllegalStateException where the producer is closed
     */
    public String send(Event event) {
        return waited(sendAsync(event));
    }

    /** Reports several events; returns for each, in order, what became of it. Throws as {@link #send} does. */
    public List<Result> sendMany(List<Event> events) {
        return waited(sendManyAsync(events));
    }

    /** Reports one event, as {@link #send} does, without waiting: the future fails with what that would throw. */
    public CompletableFuture<String> sendAsync(Event event) {
        return sendManyAsync(List.of(event)).thenApply(results -> {
            if (results.get(0) instanceof Result.Refused refused) {
                throw refused.problem();
            }
            return ((Result.Accepted) results.get(0)).event();
        });
    }

    /** Reports several events, as {@link #sendMany} does, without waiting. */
    public CompletableFuture<List<Result>> sendManyAsync(List<Event> events) {
        CompletableFuture<List<Result>> done;
        try {
            List<Item> items = new ArrayList<>();
            long until = System.nanoTime() + timeout.toNanos();
            for (Event event : events) {
                items.add(new Item(new Spool.Key(source, event.id()), envelope(event), until));
            }
            done = sender.add(items, timeout);
        } catch (RuntimeException error) {
            return CompletableFuture.failedFuture(error);
        }
        return done.exceptionally(error -> {
            if (error instanceof TimeoutException) {
                throw new ServiceUnavailableException(uri + " did not answer within " + timeout);
            }
            throw error instanceof RuntimeException known ? known : new CompletionException(error);
        });
    }

    /**
     * Takes no more calls, and waits for those under way; calls that still are at the time-out fail with
     * ServiceUnavailableException.
     *
     * @return the ids of events that are not known to be taken; what the spool holds is sent at the next start
     */
    public List<String> close(Duration timeout) {
        return sender.close(timeout);
    }

    /** Closes, waiting no longer than a call may take. */
    @Override
    public void close() {
        close(timeout);
    }

    /** The address and the source; never the key. */
    @Override
    public String toString() {
        return "Producer[" + uri + " " + source + "]";
    }

    private byte[] envelope(Event event) {
        Map<String, Object> envelope = new LinkedHashMap<>();
        envelope.put("specversion", "1.0");
        envelope.put("source", source);
        envelope.put("id", event.id());
        envelope.put("type", event.type());
        envelope.put("data", event.data());
        if (event.subject() != null) {
            envelope.put("subject", event.subject());
        }
        if (event.time() != null) {
            envelope.put("time", event.time());
        }
        try {
            // Jackson writes half a surrogate pair as bytes that no UTF-8 reader takes; the encoder refuses it.
            String text = Answers.JSON.writeValueAsString(envelope);
            ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
            return Arrays.copyOf(bytes.array(), bytes.limit());
        } catch (JsonProcessingException error) {
            throw new IllegalArgumentException(event + " can't be written as JSON: " + error.getOriginalMessage());
        } catch (IOException error) {
            throw new IllegalArgumentException(event + " can't be written as JSON: it has half a surrogate pair");
        }
    }

    private static <T> T waited(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException error) {
            throw error.getCause() instanceof RuntimeException known ? known : error;
        }
    }

    /** How a producer is to be; every setting but those of {@link Producer#builder} may be left out. */
    public static final class Builder {
        private final URI uri;
        private final String key;
        private final String source;
        private Duration timeout = Duration.ofSeconds(60);
        private Duration requestTimeout = Duration.ofSeconds(30);
        private Path spool;
        private long spoolBytes = 64L * 1024 * 1024;

        private Builder(String url, String key, String source) {
            this.uri = URI.create(url.replaceAll("/+$", "") + "/v1/events");
            this.key = Objects.requireNonNull(key, "key");
            this.source = Objects.requireNonNull(source, "source");
        }

        /** How long a call may take in all, tries and pauses included; 60 seconds by default. */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /** How long one request may take, after which it is made again; 30 seconds by default. */
        public Builder requestTimeout(Duration requestTimeout) {
            this.requestTimeout = requestTimeout;
            return this;
        }

        /**
         * Keeps events in a file until the service has answered for each: those of a process that ended before are sent
         * when the next one opens it, and a call that gives up leaves its events to be sent later.
         */
        public Builder spool(Path spool) {
            this.spool = spool;
            return this;
        }

        /** The bytes that the spool may have; 64 MiB by default. A call beyond them fails. */
        public Builder spoolBytes(long spoolBytes) {
            this.spoolBytes = spoolBytes;
            return this;
        }

        /**
         * Opens the producer.
         *
         * @throws IOException where the spool can't be opened
         * @throws IllegalStateException where another producer has the spool
         */
        public Producer build() throws IOException {
            return new Producer(this);
        }
    }
}
