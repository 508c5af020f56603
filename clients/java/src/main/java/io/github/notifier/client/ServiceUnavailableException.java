package io.github.notifier.client;

import java.time.Duration;

/** Thrown where the service did not take the events in time; the same events may be sent again later. */
public final class ServiceUnavailableException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Duration retryAfter;

    ServiceUnavailableException(String message, Duration retryAfter) {
        super(message);
        this.retryAfter = retryAfter;
    }

    ServiceUnavailableException(String message) {
        this(message, Duration.ZERO);
    }

    /** How long the service last asked to wait; zero where it didn't. */
    public Duration retryAfter() {
        return retryAfter;
    }
}
