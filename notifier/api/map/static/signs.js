// Places on the map: a sign for each, or one for several that stand close together, and the names of towns.

import { FAST, condition, groups, ports, summed } from "./places.js";
import { pin, ring } from "./pins.js";
import { element } from "./words.js";

const NAMED = 14; // zoom from which places are named on the map
const FEW = 25; // places of which the names fit beside each other
const TOWNS = [6, 13]; // the zooms at which towns are named
const APART = 90; // pixels between the names of two towns

export class Signs {
  // `on` has open(station) and enter(points).
  constructor(chart, on) {
    this.chart = chart;
    this.on = on;
    this.layer = L.layerGroup().addTo(chart.map);
    this.towns = L.layerGroup().addTo(chart.map);
    this.drawn = new Map();
  }

  draw(points, listed, filters, open) {
    const { map } = this.chart;
    const zoom = map.getZoom();
    const inside = map.getBounds().pad(0.2);
    const seen = points.filter((point) => inside.contains(this.chart.placed(point)));
    const alone = seen.filter((point) => point.id && point.id === open);
    const found = groups(seen.filter((point) => !alone.includes(point)), (point) => map.project([point.latitude, point.longitude], zoom));
    const named = zoom >= NAMED && found.length <= FEW;
    const before = this.drawn;
    this.drawn = new Map();
    for (const group of [...found, ...alone.map((point) => ({ members: [point] }))]) {
      const single = group.members.length === 1 ? group.members[0] : null;
      const sign = single?.id ? this.#single(single, filters, single.id === open, named) : this.#several(group, filters, zoom);
      const old = before.get(sign.key);
      before.delete(sign.key);
      if (old?.look === sign.look) {
        this.drawn.set(sign.key, old);
        continue;
      }
      old?.marker.remove();
      sign.marker = this.#marker(sign);
      this.drawn.set(sign.key, sign);
    }
    for (const old of before.values()) old.marker.remove();
    this.#name(seen[0]?.id ? seen : listed.map((each) => each.station), zoom);
  }

  // Mark one place, as the list does that is pointed at.
  light(id) {
    for (const [key, sign] of this.drawn) sign.marker.getElement()?.classList.toggle("lit", key === id || !!sign.ids?.has(id));
  }

  #single(station, filters, open, named) {
    const { free } = ports(station, filters);
    const its = condition(station.counts, free);
    const look = [its, free, station.max_kw >= FAST, open, named, station.latitude, station.longitude].join();
    return {
      key: station.id, look, at: this.chart.placed(station), size: 40, above: its === "free" ? 1000 : 0, open,
      html: () => element("span", {}, pin(its, free, station.max_kw >= FAST), named ? element("b", {}, station.name) : null),
      click: () => this.on.open(station),
    };
  }

  #several(group, filters, zoom) {
    const { counts, stations } = summed(group.members);
    const free = group.members.reduce((sum, each) => sum + (each.id ? ports(each, filters).free : each.counts.free), 0);
    const size = Math.round(32 + Math.min(22, 6 * Math.log2(stations)));
    const latlng = this.chart.map.unproject([group.x, group.y], zoom);
    const at = this.chart.placed({ latitude: latlng.lat, longitude: latlng.lng });
    return {
      key: `${Math.round(group.x)}:${Math.round(group.y)}:${zoom}`, look: [...Object.values(counts), free].join(), at, size, above: 500,
      ids: new Set(group.members.map((each) => each.id)),
      html: () => ring(counts, free),
      click: () => this.on.enter(group.members),
    };
  }

  #marker(sign) {
    const tall = sign.ids ? sign.size / 2 : 37; // a pin's tip is its place, a ring's middle is that of its places
    const icon = L.divIcon({
      className: `sign${sign.open ? " open" : ""}`, html: sign.html(), iconSize: [sign.size, sign.size], iconAnchor: [sign.size / 2, tall],
    });
    const marker = L.marker(sign.at, { icon, keyboard: false, zIndexOffset: sign.above, riseOnHover: true });
    return marker.on("click", sign.click).addTo(this.layer);
  }

  #name(stations, zoom) {
    this.towns.clearLayers();
    if (this.chart.map.getContainer().classList.contains("tiled") || zoom < TOWNS[0] || zoom > TOWNS[1]) return;
    const towns = Map.groupBy(stations.filter((each) => each.city), (each) => each.city);
    const placed = [];
    for (const [name, its] of [...towns].sort((a, b) => b[1].length - a[1].length)) {
      const mean = (of) => its.reduce((sum, each) => sum + of(each), 0) / its.length;
      const at = this.chart.placed({ latitude: mean((each) => each.latitude), longitude: mean((each) => each.longitude) });
      const pixel = this.chart.map.latLngToLayerPoint(at);
      if (placed.some((other) => other.distanceTo(pixel) < APART)) continue;
      placed.push(pixel);
      const icon = L.divIcon({ className: "town", html: element("span", {}, name), iconSize: [0, 0] });
      L.marker(at, { icon, pane: "towns", interactive: false, keyboard: false }).addTo(this.towns);
    }
  }
}
