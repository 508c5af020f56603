// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event port.free.
 *
 * @param alertId The alert that the driver asked for: it is answered once
 * @param stationId The station's id, as it was put by OCPI
 * @param station The station's name as drivers know it
 * @param port Which of its ports is free
 * @param until Until when nobody else who waits is told of it
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param powerKw The most that the port gives, in kW, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PortFree(
        @JsonProperty("alert_id") String alertId,
        @JsonProperty("station_id") String stationId,
        @JsonProperty("station") String station,
        @JsonProperty("port") String port,
        @JsonProperty("until") Instant until,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("power_kw") BigDecimal powerKw,
        @JsonProperty("time_zone") String timeZone) {
    public PortFree {
        Objects.requireNonNull(alertId, "alertId");
        Objects.requireNonNull(stationId, "stationId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(port, "port");
        Objects.requireNonNull(until, "until");
    }
}
