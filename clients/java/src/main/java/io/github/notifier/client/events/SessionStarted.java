// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event session.started.
 *
 * @param sessionId The charging session
 * @param station The station's name as drivers know it
 * @param startedAt When charging started
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param powerKw The most power the connector gives, in kW, or null
 * @param pricePerKwh The price of a kWh, taxes included, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record SessionStarted(
        @JsonProperty("session_id") String sessionId,
        @JsonProperty("station") String station,
        @JsonProperty("started_at") Instant startedAt,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("power_kw") BigDecimal powerKw,
        @JsonProperty("price_per_kwh") Money pricePerKwh,
        @JsonProperty("time_zone") String timeZone) {
    public SessionStarted {
        Objects.requireNonNull(sessionId, "sessionId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(startedAt, "startedAt");
    }
}
