// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event subscription.paused.
 *
 * @param team The team that owns the subscription
 * @param subscription The subscription's id
 * @param endpoint The host to which its changes were sent
 * @param reason Why: its endpoint said that it is gone, or failed for days; its key is good no more; its next changes are not kept
 * @param pausedAt Since when nothing is sent
 * @param answer The endpoint's last answer: a status, or what prevented the request, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record SubscriptionPaused(
        @JsonProperty("team") String team,
        @JsonProperty("subscription") String subscription,
        @JsonProperty("endpoint") String endpoint,
        @JsonProperty("reason") SubscriptionPaused.Reason reason,
        @JsonProperty("paused_at") Instant pausedAt,
        @JsonProperty("answer") String answer) {
    public SubscriptionPaused {
        Objects.requireNonNull(team, "team");
        Objects.requireNonNull(subscription, "subscription");
        Objects.requireNonNull(endpoint, "endpoint");
        Objects.requireNonNull(reason, "reason");
        Objects.requireNonNull(pausedAt, "pausedAt");
    }

    public enum Reason {
        @JsonProperty("failing") FAILING,
        @JsonProperty("gone") GONE,
        @JsonProperty("key_lost") KEY_LOST,
        @JsonProperty("past_retention") PAST_RETENTION;
    }
}
