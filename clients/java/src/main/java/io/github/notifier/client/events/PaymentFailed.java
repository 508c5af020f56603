// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event payment.failed.
 *
 * @param accountId The account that owes it
 * @param attempt Which attempt failed, from 1
 * @param amount What is owed, taxes included
 * @param blocked Whether the driver can't charge until it is paid
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param paymentMethod What could not be charged, such as Visa •••• 4242, or null
 * @param nextAttemptAt When it is tried again, if it is, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PaymentFailed(
        @JsonProperty("account_id") String accountId,
        @JsonProperty("attempt") Long attempt,
        @JsonProperty("amount") Money amount,
        @JsonProperty("blocked") Boolean blocked,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("payment_method") String paymentMethod,
        @JsonProperty("next_attempt_at") Instant nextAttemptAt) {
    public PaymentFailed {
        Objects.requireNonNull(accountId, "accountId");
        Objects.requireNonNull(attempt, "attempt");
        Objects.requireNonNull(amount, "amount");
        Objects.requireNonNull(blocked, "blocked");
    }
}
