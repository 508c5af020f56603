// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event station.online.
 *
 * @param siteId The site whose operators are told
 * @param site The site's name
 * @param stationId The station
 * @param station The station's name
 * @param onlineSince When it was heard from again
 * @param offlineMin For how many minutes it was away, or null
 * @param timeZone The time zone of the site, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StationOnline(
        @JsonProperty("site_id") String siteId,
        @JsonProperty("site") String site,
        @JsonProperty("station_id") String stationId,
        @JsonProperty("station") String station,
        @JsonProperty("online_since") Instant onlineSince,
        @JsonProperty("offline_min") BigDecimal offlineMin,
        @JsonProperty("time_zone") String timeZone) {
    public StationOnline {
        Objects.requireNonNull(siteId, "siteId");
        Objects.requireNonNull(site, "site");
        Objects.requireNonNull(stationId, "stationId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(onlineSince, "onlineSince");
    }
}
