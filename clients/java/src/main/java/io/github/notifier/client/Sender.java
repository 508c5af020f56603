package io.github.notifier.client;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The thread that sends: what waits is a batch once the one before is through. */
final class Sender {
    /** The most events in one request that the service accepts. */
    private static final int BATCH = 1000;

    /** The most bytes in one request that the service accepts. */
    private static final long MOST_BYTES = 8L * 1024 * 1024;

    private static final System.Logger LOG = System.getLogger(Producer.class.getName());

    private final Exchange exchange;
    private final Spool spool;
    private final Deque<Item> waiting = new ArrayDeque<>();
    private final Set<Item> unanswered = new LinkedHashSet<>();
    private final Thread thread = new Thread(this::run, "notifier-producer");
    private boolean open = true;
    private boolean stopped;

    /** Begins to send what a spool holds; it may be null. */
    Sender(Exchange exchange, Spool spool) {
        this.exchange = exchange;
        this.spool = spool;
        if (spool != null) {
            spool.open().forEach((key, event) -> waiting.add(new Item(key, event, 0)));
            unanswered.addAll(waiting);
        }
        thread.setDaemon(true);
        thread.start();
    }

    /** Sends the events of a call; the future fails with TimeoutException after the time-out. */
    synchronized CompletableFuture<List<Result>> add(List<Item> items, Duration timeout) {
        if (!open) {
            throw new IllegalStateException("the producer is closed");
        }
        if (spool != null) {
            Map<Spool.Key, byte[]> events = new LinkedHashMap<>();
            items.forEach(item -> events.put(item.key, item.envelope));
            spool.add(events);
        }
        Call call = Item.call(items);
        waiting.addAll(items);
        unanswered.addAll(items);
        notifyAll();
        call.done.orTimeout(timeout.toNanos(), TimeUnit.NANOSECONDS);
        if (spool == null) {
            call.done.whenComplete((results, error) -> answered(items));
        }
        return call.done;
    }

    /** Takes no more, waits, and returns the ids of events that are not known to be taken. */
    List<String> close(Duration timeout) {
        List<String> unsent = new ArrayList<>();
        synchronized (this) {
            open = false;
            if (stopped) {
                return unsent;
            }
            waitFor(timeout);
            Collection<Spool.Key> keys =
                    spool != null ? spool.open().keySet() : unanswered.stream().map(item -> item.key).toList();
            keys.forEach(key -> unsent.add(key.id()));
            stopped = true;
            notifyAll();
        }
        thread.interrupt();
        try {
            thread.join();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        return unsent;
    }

    private void waitFor(Duration timeout) {
        long until = System.nanoTime() + timeout.toNanos();
        try {
            for (long left = timeout.toNanos(); left > 0 && !unanswered.isEmpty(); left = until - System.nanoTime()) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        try {
            for (List<Item> batch = next(); !batch.isEmpty(); batch = next()) {
                flush(batch);
            }
        } catch (InterruptedException error) {
            // closed: callers are told below
        } finally {
            end();
        }
    }

    /** Waits for events; returns those of one request, or none once the producer is closed. */
    private synchronized List<Item> next() throws InterruptedException {
        while (waiting.isEmpty() && !stopped) {
            wait();
        }
        List<Item> batch = new ArrayList<>();
        long size = 2;
        while (!stopped && !waiting.isEmpty() && batch.size() < BATCH) {
            size += waiting.peek().envelope.length + 1;
            if (size > MOST_BYTES && !batch.isEmpty()) {
                break;
            }
            batch.add(waiting.poll());
        }
        return batch;
    }

    private void flush(List<Item> batch) throws InterruptedException {
        List<Item> wanted =
                spool != null ? batch : batch.stream().filter(item -> item.patience() > 0).toList();
        if (!wanted.isEmpty()) {
            List<Outcome> outcomes = exchange.post(wanted, spool != null);
            if (spool != null) {
                settle(wanted, outcomes);
            }
            for (int index = 0; index < wanted.size(); index++) {
                wanted.get(index).ended(outcomes.get(index));
            }
        }
        answered(batch);
    }

    private void settle(List<Item> batch, List<Outcome> outcomes) {
        List<Spool.Key> settled = new ArrayList<>();
        for (int index = 0; index < batch.size(); index++) {
            Item item = batch.get(index);
            Outcome outcome = outcomes.get(index);
            if (outcome.result() != null) {
                settled.add(item.key);
            }
            if (item.patience() <= 0 && outcome.result() instanceof Result.Refused refused) {
                LOG.log(System.Logger.Level.WARNING, "the event {0} of {1} was refused: problem {2,number,#}",
                        item.key.id(), item.key.source(), refused.problem().code());
            } else if (item.patience() <= 0 && outcome.failure() instanceof Problem problem) {
                LOG.log(System.Logger.Level.WARNING, "the event {0} of {1} stays in the spool: problem {2,number,#}",
                        item.key.id(), item.key.source(), problem.code());
            }
        }
        synchronized (this) {
            spool.settle(settled);
        }
    }

    private synchronized void answered(List<Item> items) {
        unanswered.removeAll(new HashSet<>(items));
        notifyAll();
    }

    private void end() {
        List<Item> left;
        synchronized (this) {
            open = false;
            stopped = true;
            left = new ArrayList<>(unanswered);
            unanswered.clear();
            try {
                if (spool != null) {
                    spool.close();
                }
            } catch (IOException error) {
                // nothing is left to be written
            }
        }
        Outcome closed = new Outcome(null, new ServiceUnavailableException("the producer was closed before the service answered"));
        left.forEach(item -> item.ended(closed));
    }
}
