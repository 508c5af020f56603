package io.github.notifier.client;

/** What became of an event: the service's result, or why there is none. */
record Outcome(Result result, RuntimeException failure) {}
