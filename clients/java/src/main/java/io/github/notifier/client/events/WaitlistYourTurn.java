// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event waitlist.your_turn.
 *
 * @param offerId The offer: one place in the queue, held for one driver
 * @param station The station's name as drivers know it
 * @param respondBy Until when it is held for the driver
 * @param driverId The driver, where the network knows them, or null
 * @param token The charging token used: OCPI contract id or RFID uid, or null
 * @param powerKw The connector's power, in kilowatts, or null
 * @param timeZone The time zone of the station, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record WaitlistYourTurn(
        @JsonProperty("offer_id") String offerId,
        @JsonProperty("station") String station,
        @JsonProperty("respond_by") Instant respondBy,
        @JsonProperty("driver_id") String driverId,
        @JsonProperty("token") String token,
        @JsonProperty("power_kw") BigDecimal powerKw,
        @JsonProperty("time_zone") String timeZone) {
    public WaitlistYourTurn {
        Objects.requireNonNull(offerId, "offerId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(respondBy, "respondBy");
    }
}
