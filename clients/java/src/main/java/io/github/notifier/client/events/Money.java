// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.util.Objects;

/**
 * An amount in a currency (ISO 4217), including taxes.
 *
 * @param amount amount
 * @param currency currency
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Money(
        @JsonProperty("amount") BigDecimal amount,
        @JsonProperty("currency") String currency) {
    public Money {
        Objects.requireNonNull(amount, "amount");
        Objects.requireNonNull(currency, "currency");
    }
}
