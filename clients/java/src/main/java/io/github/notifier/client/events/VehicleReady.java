// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;

/**
 * The data of the event vehicle.ready.
 *
 * @param vehicleId The vehicle
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record VehicleReady(
        @JsonProperty("vehicle_id") String vehicleId) {
    public VehicleReady {
        Objects.requireNonNull(vehicleId, "vehicleId");
    }
}
