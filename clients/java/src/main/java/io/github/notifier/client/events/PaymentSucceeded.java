// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event payment.succeeded.
 *
 * @param accountId The account that owes it
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PaymentSucceeded(
        @JsonProperty("account_id") String accountId) {
    public PaymentSucceeded {
        Objects.requireNonNull(accountId, "accountId");
    }
}
