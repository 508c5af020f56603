// Made by `make client-types` of the OpenAPI document.
package io.github.notifier.client.events;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.Objects;

/**
 * The data of the event station.offline.
 *
 * @param siteId The site whose operators are told
 * @param site The site's name
 * @param stationId The station
 * @param station The station's name
 * @param since When it was last heard from
 * @param connectors How many connectors are out of reach, or null
 * @param errorCode The last error it reported, as the station names it, or null
 * @param timeZone The time zone of the site, such as Europe/Lisbon: times are told by its clocks, or null
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StationOffline(
        @JsonProperty("site_id") String siteId,
        @JsonProperty("site") String site,
        @JsonProperty("station_id") String stationId,
        @JsonProperty("station") String station,
        @JsonProperty("since") Instant since,
        @JsonProperty("connectors") Long connectors,
        @JsonProperty("error_code") String errorCode,
        @JsonProperty("time_zone") String timeZone) {
    public StationOffline {
        Objects.requireNonNull(siteId, "siteId");
        Objects.requireNonNull(site, "site");
        Objects.requireNonNull(stationId, "stationId");
        Objects.requireNonNull(station, "station");
        Objects.requireNonNull(since, "since");
    }
}
