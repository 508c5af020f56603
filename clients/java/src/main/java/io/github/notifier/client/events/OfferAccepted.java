// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event offer.accepted.
 *
 * @param offerId The offer: one place in the queue, held for one driver
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record OfferAccepted(
        @JsonProperty("offer_id") String offerId) {
    public OfferAccepted {
        Objects.requireNonNull(offerId, "offerId");
    }
}
