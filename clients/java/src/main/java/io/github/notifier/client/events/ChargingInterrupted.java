// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event charging.interrupted.
 *
 * @param sessionId The charging session
 * @param reason Why charging stopped
 * @param station The station's name as drivers know it
 * @param stoppedAt When charging stopped
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param energyKwh Energy delivered until then, in kWh, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ChargingInterrupted(
        @JsonProperty("session_id") String sessionId,
        @JsonProperty("reason") ChargingInterrupted.Reason reason,
        @JsonProperty("station") String station,
        @JsonProperty("stopped_at") Instant stoppedAt,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("energy_kwh") BigDecimal energyKwh,
        @JsonProperty("time_zone") String timeZone) {
    public ChargingInterrupted {
        Objects.requireNonNull(sessionId, "sessionId");
        Objects.requireNonNull(reason, "reason");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(stoppedAt, "stoppedAt");
    }

    public enum Reason {
        @JsonProperty("other") OTHER,
        @JsonProperty("power_outage") POWER_OUTAGE,
        @JsonProperty("station_fault") STATION_FAULT,
        @JsonProperty("vehicle_stopped") VEHICLE_STOPPED;
    }
}
