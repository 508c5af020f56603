package io.github.notifier.client;

/** What became of one event of several: {@link Accepted} or {@link Refused}. */
public sealed interface Result {
    /** The event is in the service's database, where it has this id. */
    record Accepted(String event) implements Result {}

    /** The service refuses the event; sending it again changes nothing. */
    record Refused(Problem problem) implements Result {}
}
