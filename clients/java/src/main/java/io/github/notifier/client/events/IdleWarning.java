// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event idle.warning.
 *
 * @param sessionId The charging session
 * @param station The station's name as drivers know it
 * @param idleFeeFrom When the idle fee starts
 * @param feePerMinute What a minute costs from then on, taxes included
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param maxFee The most it can come to, taxes included, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record IdleWarning(
        @JsonProperty("session_id") String sessionId,
        @JsonProperty("station") String station,
        @JsonProperty("idle_fee_from") Instant idleFeeFrom,
        @JsonProperty("fee_per_minute") Money feePerMinute,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("max_fee") Money maxFee,
        @JsonProperty("time_zone") String timeZone) {
    public IdleWarning {
        Objects.requireNonNull(sessionId, "sessionId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(idleFeeFrom, "idleFeeFrom");
        Objects.requireNonNull(feePerMinute, "feePerMinute");
    }
}
