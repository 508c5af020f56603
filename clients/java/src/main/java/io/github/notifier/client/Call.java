package io.github.notifier.client;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** A call, and what has become of its events so far. */
final class Call {
    final CompletableFuture<List<Result>> done = new CompletableFuture<>();
    private final List<Result> results;
    private RuntimeException failure;
    private int left;

    Call(int events) {
        results = new ArrayList<>(Collections.nCopies(events, null));
        left = events;
        if (events == 0) {
            done.complete(List.of());
        }
    }

    /** Notes what became of one event; the last one ends the call. */
    synchronized void ended(int index, Outcome outcome) {
        results.set(index, outcome.result());
        failure = failure == null ? outcome.failure() : failure;
        left--;
        if (left == 0 && failure == null) {
            done.complete(Collections.unmodifiableList(results));
        } else if (left == 0) {
            done.completeExceptionally(failure);
        }
    }
}
