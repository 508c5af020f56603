// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event vehicle.not_ready.
 *
 * @param fleetId The fleet whose managers are told
 * @param vehicleId The vehicle
 * @param vehicle The vehicle's name as the fleet knows it
 * @param departure When it is planned to leave
 * @param chargePercent How full the battery is now, 0 to 100
 * @param neededPercent How full it must be to leave, 0 to 100
 * @param reason Why it won't be ready
 * @param depot Where it stands, or null
 * @param readyAt When it will be ready at this rate, if it is charging, or null
 * @param timeZone The time zone of the depot, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record VehicleNotReady(
        @JsonProperty("fleet_id") String fleetId,
        @JsonProperty("vehicle_id") String vehicleId,
        @JsonProperty("vehicle") String vehicle,
        @JsonProperty("departure") Instant departure,
        @JsonProperty("charge_percent") BigDecimal chargePercent,
        @JsonProperty("needed_percent") BigDecimal neededPercent,
        @JsonProperty("reason") VehicleNotReady.Reason reason,
        @JsonProperty("depot") String depot,
        @JsonProperty("ready_at") Instant readyAt,
        @JsonProperty("time_zone") String timeZone) {
    public VehicleNotReady {
        Objects.requireNonNull(fleetId, "fleetId");
        Objects.requireNonNull(vehicleId, "vehicleId");
        Objects.requireNonNull(vehicle, "vehicle");
        Objects.requireNonNull(departure, "departure");
        Objects.requireNonNull(chargePercent, "chargePercent");
        Objects.requireNonNull(neededPercent, "neededPercent");
        Objects.requireNonNull(reason, "reason");
    }

    public enum Reason {
        @JsonProperty("charging_slowly") CHARGING_SLOWLY,
        @JsonProperty("charging_stopped") CHARGING_STOPPED,
        @JsonProperty("not_plugged_in") NOT_PLUGGED_IN,
        @JsonProperty("other") OTHER;
    }
}
