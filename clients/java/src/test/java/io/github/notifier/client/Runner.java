package io.github.notifier.client;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** The program of the behaviour table in Java: a future for each call. */
final class Runner {
    private final List<CompletableFuture<List<Object>>> calls = new ArrayList<>();
    private Producer producer;

    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        var runner = new Runner();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Object answer;
            try {
                answer = runner.done(Answers.JSON.readTree(line));
            } catch (RuntimeException error) {
                answer = Map.of("error", String.valueOf(error.getMessage()));
            }
            out.println(Answers.JSON.writeValueAsString(answer));
        }
    }

    private Object done(JsonNode told) throws Exception {
        return switch (told.get("do").asText()) {
            case "open" -> opened(told);
            case "start" -> started(told);
            case "finish" -> finished();
            case "close" -> Map.of("unsent", producer.close(seconds(told.get("timeout"))));
            case "show" -> Map.of("shown", producer.toString());
            default -> throw new IllegalArgumentException(told.toString());
        };
    }

    private Object opened(JsonNode told) throws Exception {
        var builder = Producer.builder(told.get("url").asText(), told.get("key").asText(), told.get("source").asText())
                .timeout(seconds(told.get("timeout")))
                .requestTimeout(seconds(told.get("request_timeout")));
        if (!told.get("spool").isNull()) {
            builder.spool(Path.of(told.get("spool").asText()));
        }
        if (!told.get("spool_bytes").isNull()) {
            builder.spoolBytes(told.get("spool_bytes").asLong());
        }
        producer = builder.build();
        return Map.of();
    }

    private Object started(JsonNode told) {
        boolean many = told.get("many").asBoolean();
        for (JsonNode call : told.get("calls")) {
            List<Event> events = new ArrayList<>();
            call.forEach(each -> events.add(event(each)));
            CompletableFuture<List<Object>> results = many
                    ? producer.sendManyAsync(events).thenApply(all -> all.stream().map(Runner::result).toList())
                    : producer.sendAsync(events.get(0)).thenApply(id -> List.of(Map.of("accepted", id)));
            calls.add(results.handle((all, error) -> paired(events, all, error)));
        }
        return Map.of();
    }

    private Object finished() {
        List<Object> results = new ArrayList<>();
        calls.forEach(call -> results.addAll(call.join()));
        calls.clear();
        return Map.of("results", results);
    }

    private static List<Object> paired(List<Event> events, List<Object> results, Throwable error) {
        List<Object> paired = new ArrayList<>();
        for (int index = 0; index < events.size(); index++) {
            paired.add(List.of(events.get(index).id(), error == null ? results.get(index) : failure(error)));
        }
        return paired;
    }

    private static Object result(Result result) {
        return result instanceof Result.Accepted accepted
                ? Map.of("accepted", accepted.event())
                : failure(((Result.Refused) result).problem());
    }

    private static Object failure(Throwable thrown) {
        Throwable error = thrown instanceof CompletionException ? thrown.getCause() : thrown;
        if (error instanceof Problem problem) {
            return Map.of("code", problem.code(), "status", problem.status());
        }
        if (error instanceof ServiceUnavailableException unavailable) {
            return Map.of("failed", "unavailable", "retry_after", unavailable.retryAfter().toSeconds());
        }
        return Map.of("failed", error instanceof IllegalStateException ? "closed"
                : error instanceof IllegalArgumentException ? "invalid" : error.toString());
    }

    private static Event event(JsonNode told) {
        Map<String, Object> data = new HashMap<>();
        data.put("n", told.get("id").asText());
        data.put("padding", told.get("padding").asText());
        if (told.get("impossible").asBoolean()) {
            data.put("it", new Object());
        }
        if (told.get("half_character").asBoolean()) {
            data.put("it", "\ud800");
        }
        return new Event("charging.complete", data, told.get("id").asText());
    }

    private static Duration seconds(JsonNode told) {
        return Duration.ofNanos((long) (told.asDouble() * 1e9));
    }
}
