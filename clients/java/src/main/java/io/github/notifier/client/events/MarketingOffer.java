// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event marketing.offer.
 *
 * @param segmentId The segment that it is for (docs/audiences.md)
 * @param campaignId The campaign: nobody hears twice of the same one
 * @param title What is offered, in up to 40 letters; in the language that the segment chooses people by
 * @param text The offer in a sentence or two, in the same language; the push shows the first 60 letters
 * @param validUntil When the offer ends, or null
 * @param code The code to give when paying, or null
 * @param price The price per kWh while it lasts, or null
 * @param conditions Where and for whom it holds, in a sentence, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record MarketingOffer(
        @JsonProperty("segment_id") String segmentId,
        @JsonProperty("campaign_id") String campaignId,
        @JsonProperty("title") String title,
        @JsonProperty("text") String text,
        @JsonProperty("valid_until") Instant validUntil,
        @JsonProperty("code") String code,
        @JsonProperty("price") Money price,
        @JsonProperty("conditions") String conditions) {
    public MarketingOffer {
        Objects.requireNonNull(segmentId, "segmentId");
        Objects.requireNonNull(campaignId, "campaignId");
        Objects.requireNonNull(title, "title");
        Objects.requireNonNull(text, "text");
    }
}
