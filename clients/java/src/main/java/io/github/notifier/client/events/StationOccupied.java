// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event station.occupied.
 *
 * @param stationId The station
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StationOccupied(
        @JsonProperty("station_id") String stationId) {
    public StationOccupied {
        Objects.requireNonNull(stationId, "stationId");
    }
}
