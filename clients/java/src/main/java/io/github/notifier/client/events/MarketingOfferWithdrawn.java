// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event marketing.offer_withdrawn.
 *
 * @param campaignId The campaign: nobody hears twice of the same one
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record MarketingOfferWithdrawn(
        @JsonProperty("campaign_id") String campaignId) {
    public MarketingOfferWithdrawn {
        Objects.requireNonNull(campaignId, "campaignId");
    }
}
