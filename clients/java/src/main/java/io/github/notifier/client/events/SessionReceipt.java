// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event session.receipt.
 *
 * @param sessionId The charging session
 * @param cdrId The charge detail record: the final word on what it cost
 * @param station The station's name as drivers know it
 * @param startedAt When the session started
 * @param endedAt When the session ended
 * @param durationMin How long the session lasted, in minutes
 * @param energyKwh Energy delivered, in kWh
 * @param total What is charged, taxes included
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param address Where it is: street and town, or null
 * @param tax The taxes in the total, or null
 * @param idleFee The idle fee in the total, or null
 * @param paymentMethod What it is charged to, such as Visa •••• 4242, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record SessionReceipt(
        @JsonProperty("session_id") String sessionId,
        @JsonProperty("cdr_id") String cdrId,
        @JsonProperty("station") String station,
        @JsonProperty("started_at") Instant startedAt,
        @JsonProperty("ended_at") Instant endedAt,
        @JsonProperty("duration_min") Long durationMin,
        @JsonProperty("energy_kwh") BigDecimal energyKwh,
        @JsonProperty("total") Money total,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("address") String address,
        @JsonProperty("tax") Money tax,
        @JsonProperty("idle_fee") Money idleFee,
        @JsonProperty("payment_method") String paymentMethod,
        @JsonProperty("time_zone") String timeZone) {
    public SessionReceipt {
        Objects.requireNonNull(sessionId, "sessionId");
        Objects.requireNonNull(cdrId, "cdrId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(startedAt, "startedAt");
        Objects.requireNonNull(endedAt, "endedAt");
        Objects.requireNonNull(durationMin, "durationMin");
        Objects.requireNonNull(energyKwh, "energyKwh");
        Objects.requireNonNull(total, "total");
    }
}
