package io.github.notifier.client;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Batches over the wire, and again until they are taken. */
final class Exchange {
    /** Doubled each time, with full jitter. */
    private static final Duration FIRST_PAUSE = Duration.ofMillis(250);

    /** Where the service asks for none. */
    private static final Duration MOST_PAUSE = Duration.ofSeconds(15);

    /** A body is too large: half of the batch may fit. */
    private static final int TOO_LARGE = 413;

    // A redirect would turn the POST into a GET, and isn't followed.
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final URI uri;
    private final HttpRequest.Builder request;
    private final Duration requestTimeout;

    Exchange(URI uri, String key, Duration requestTimeout) {
        this.uri = uri;
        this.requestTimeout = requestTimeout;
        this.request = HttpRequest.newBuilder(uri)
                .header("Authorization", "Bearer " + key)
                .header("Content-Type", "application/cloudevents-batch+json")
                .header("User-Agent", "notifier-java/" + Producer.VERSION);
    }

    /** Sends a batch, and again until the last of its callers gives up, or for ever; returns what became of each. */
    List<Outcome> post(List<Item> batch, boolean forEver) throws InterruptedException {
        try {
            List<Outcome> outcomes = new ArrayList<>();
            untilTaken(batch, forEver).forEach(result -> outcomes.add(new Outcome(result, null)));
            return outcomes;
        } catch (Problem problem) {
            if (problem.status() != TOO_LARGE) {
                return Collections.nCopies(batch.size(), new Outcome(null, problem));
            }
            if (batch.size() == 1) {
                return List.of(new Outcome(new Result.Refused(problem), null));
            }
        } catch (ServiceUnavailableException error) {
            return Collections.nCopies(batch.size(), new Outcome(null, error));
        }
        int half = batch.size() / 2;
        List<Outcome> outcomes = new ArrayList<>(post(batch.subList(0, half), forEver));
        outcomes.addAll(post(batch.subList(half, batch.size()), forEver));
        return outcomes;
    }

    private List<Result> untilTaken(List<Item> batch, boolean forEver) throws InterruptedException {
        byte[] body = body(batch);
        long pause = FIRST_PAUSE.toNanos();
        while (true) {
            long asked = 0;
            try {
                long left = forEver ? Long.MAX_VALUE : patience(batch);
                return Answers.results(once(body, Math.min(left, requestTimeout.toNanos())), batch.size());
            } catch (ServiceUnavailableException error) {
                asked = error.retryAfter().toNanos();
            } catch (IOException | TimeoutException error) {
                // tried again
            }
            long left = forEver ? Long.MAX_VALUE : patience(batch);
            if (left < Math.max(FIRST_PAUSE.toNanos(), asked)) {
                throw new ServiceUnavailableException(uri + " accepted nothing in time", Duration.ofNanos(asked));
            }
            long jittered = ThreadLocalRandom.current().nextLong(pause);
            TimeUnit.NANOSECONDS.sleep(Math.max(Math.min(jittered, left - FIRST_PAUSE.toNanos()), asked));
            pause = Math.min(pause * 2, MOST_PAUSE.toNanos());
        }
    }

    /** One request, of which the whole answer has this time. */
    private HttpResponse<byte[]> once(byte[] body, long nanos)
            throws IOException, TimeoutException, InterruptedException {
        var post = request.copy().POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        var answer = client.sendAsync(post, HttpResponse.BodyHandlers.ofByteArray());
        try {
            return answer.get(nanos, TimeUnit.NANOSECONDS);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof IOException known ? known : new IOException(error.getCause());
        } finally {
            answer.cancel(true);
        }
    }

    private static long patience(List<Item> batch) {
        return batch.stream().mapToLong(Item::patience).max().orElse(0);
    }

    private static byte[] body(List<Item> batch) {
        var body = new java.io.ByteArrayOutputStream();
        body.write('[');
        for (int index = 0; index < batch.size(); index++) {
            if (index > 0) {
                body.write(',');
            }
            body.writeBytes(batch.get(index).envelope);
        }
        body.write(']');
        return body.toByteArray();
    }
}
