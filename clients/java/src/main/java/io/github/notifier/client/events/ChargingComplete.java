// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event charging.complete.
 *
 * @param sessionId The charging session
 * @param kind Whether the battery is full, a limit that the driver set was reached, or nobody knows why it ended
 * @param station The station's name as drivers know it
 * @param energyKwh Energy delivered, in kWh
 * @param completedAt When charging stopped
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param cost What it costs so far, or null
 * @param idleFeeFrom When an idle fee starts, if there is one, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ChargingComplete(
        @JsonProperty("session_id") String sessionId,
        @JsonProperty("kind") ChargingComplete.Kind kind,
        @JsonProperty("station") String station,
        @JsonProperty("energy_kwh") BigDecimal energyKwh,
        @JsonProperty("completed_at") Instant completedAt,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("cost") Money cost,
        @JsonProperty("idle_fee_from") Instant idleFeeFrom,
        @JsonProperty("time_zone") String timeZone) {
    public ChargingComplete {
        Objects.requireNonNull(sessionId, "sessionId");
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(energyKwh, "energyKwh");
        Objects.requireNonNull(completedAt, "completedAt");
    }

    public enum Kind {
        @JsonProperty("ended") ENDED,
        @JsonProperty("full") FULL,
        @JsonProperty("limit_reached") LIMIT_REACHED;
    }
}
