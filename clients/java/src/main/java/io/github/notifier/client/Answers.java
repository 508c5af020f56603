package io.github.notifier.client;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import java.io.IOException;
import java.net.http.HttpHeaders;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;

/** JSON, and what the service answers to a batch of events. */
final class Answers {
    static final ObjectMapper JSON = new ObjectMapper()
            .configure(JsonGenerator.Feature.WRITE_BIGDECIMAL_AS_PLAIN, true)
            .registerModule(new SimpleModule().addSerializer(java.time.Instant.class, ToStringSerializer.instance));

    /** That the service is believed to ask for: what is longer is a mistake. */
    private static final Duration MOST_ASKED = Duration.ofHours(1);

    private Answers() {}

    /**
     * Returns a result for each event.
     *
     * @throws ServiceUnavailableException where the same request may be made again
     * @throws Problem where the request is refused, or something else than the service has answered
     */
    static List<Result> results(HttpResponse<byte[]> response, int events) {
        int status = response.statusCode();
        if (status >= 500 || status == 408 || status == 429) {
            throw new ServiceUnavailableException(
                    response.uri() + " answered " + status, pauseAsked(response.headers()));
        }
        try {
            if (status == 202) {
                List<Result> results = new ArrayList<>();
                JSON.readTree(response.body()).path("results").forEach(each -> results.add(result(each)));
                if (results.size() == events) {
                    return results;
                }
            } else if (response.headers().firstValue("Content-Type").orElse("").startsWith("application/problem+json")) {
                throw problem(JSON.readTree(response.body()));
            }
        } catch (IOException error) {
            // something that says so, and isn't: told below
        }
        throw new Problem(
                0, status, "Not a response of this service", response.uri() + " answered " + status, null);
    }

    /**
     * Returns how long Retry-After (RFC 9110 §10.2.3) asks to wait. A date is held against the answer's own Date, so that it
     * doesn't matter whose clock is right.
     */
    static Duration pauseAsked(HttpHeaders headers) {
        String told = headers.firstValue("Retry-After").orElse("");
        Duration pause = Duration.ZERO;
        if (told.matches("[0-9]{1,9}")) {
            pause = Duration.ofSeconds(Long.parseLong(told));
        } else {
            try {
                pause = Duration.between(date(headers.firstValue("Date").orElse("")), date(told));
            } catch (DateTimeParseException error) {
                // no date: no pause is asked for
            }
        }
        return pause.isNegative() ? Duration.ZERO : pause.compareTo(MOST_ASKED) > 0 ? MOST_ASKED : pause;
    }

    private static ZonedDateTime date(String told) {
        return ZonedDateTime.parse(told, DateTimeFormatter.RFC_1123_DATE_TIME);
    }

    private static Result result(JsonNode told) {
        return told.path("status").asText().equals("accepted")
                ? new Result.Accepted(told.path("event").asText())
                : new Result.Refused(problem(told.path("problem")));
    }

    private static Problem problem(JsonNode told) {
        return new Problem(
                told.path("code").asInt(),
                told.path("status").asInt(),
                told.path("title").asText("Refused"),
                told.path("detail").asText(),
                told.path("pointer").asText(null));
    }
}
