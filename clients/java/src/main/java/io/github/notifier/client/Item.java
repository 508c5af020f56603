package io.github.notifier.client;

import java.util.List;

/** An event as JSON, with its call. */
final class Item {
    final Spool.Key key;
    final byte[] envelope;
    private final long until;
    private Call call;
    private int index;

    /** Makes an item whose caller gives up at {@code until}, by {@link System#nanoTime}. */
    Item(Spool.Key key, byte[] envelope, long until) {
        this.key = key;
        this.envelope = envelope;
        this.until = until;
    }

    /** Joins items to a call that waits for them. */
    static Call call(List<Item> items) {
        Call call = new Call(items.size());
        for (int index = 0; index < items.size(); index++) {
            items.get(index).call = call;
            items.get(index).index = index;
        }
        return call;
    }

    /** The nanoseconds until its caller gives up; nobody waits for an event from the spool. */
    long patience() {
        return call == null ? 0 : until - System.nanoTime();
    }

    /** Tells the caller what became of the event. */
    void ended(Outcome outcome) {
        if (call != null) {
            call.ended(index, outcome);
        }
    }
}
