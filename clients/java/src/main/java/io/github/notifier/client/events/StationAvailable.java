// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event station.available.
 *
 * @param topic The topic whose subscribers are told, such as station:BE*BEC*E041503003
 * @param stationId The station
 * @param station The station's name as drivers know it
 * @param since Since when it has been free: nobody hears twice of the same time
 * @param connectors How many of its connectors are free, or null
 * @param powerKw The most that one of them gives, in kW, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StationAvailable(
        @JsonProperty("topic") String topic,
        @JsonProperty("station_id") String stationId,
        @JsonProperty("station") String station,
        @JsonProperty("since") Instant since,
        @JsonProperty("connectors") Long connectors,
        @JsonProperty("power_kw") BigDecimal powerKw,
        @JsonProperty("time_zone") String timeZone) {
    public StationAvailable {
        Objects.requireNonNull(topic, "topic");
        Objects.requireNonNull(stationId, "stationId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(since, "since");
    }
}
