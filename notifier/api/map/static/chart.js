// The map itself: tiles where the setting names some, else the world's outlines, and a net of degrees over them.

import { config, distance, element, inMiles, number, words } from "./words.js";

const FAR = 11; // zoom from which outlines are too coarse to be drawn: all is land
const LINES = 150; // pixels between two lines of the net, about
const PARTS = 5; // fine lines of the net for each line
const STEPS = [90, 45, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]; // degrees
const RINGS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]; // kilometres, or miles, around where somebody is
const PER_DEGREE = 50; // the outlines' steps: deploy/outlines.py
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Chart {
  constructor(node) {
    this.map = L.map(node, {
      zoomControl: false, attributionControl: false, worldCopyJump: true, minZoom: 2, maxZoom: 18, zoomSnap: 0.5,
      maxBounds: [[-85, -Infinity], [85, Infinity]], keyboard: true,
      zoomAnimation: !still.matches, fadeAnimation: !still.matches, markerZoomAnimation: !still.matches, inertia: !still.matches,
    });
    this.net = L.layerGroup().addTo(this.map);
    this.here = L.layerGroup().addTo(this.map);
    for (const [name, level] of [["land", 210], ["net", 220], ["towns", 580]]) {
      this.map.createPane(name).style.zIndex = level;
      this.map.getPane(name).setAttribute("aria-hidden", "true");
    }
    this.map.getPane("markerPane").setAttribute("aria-hidden", "true"); // the list has the same for whoever can't see
    L.control.scale({ maxWidth: 120, imperial: inMiles(), metric: !inMiles() }).addTo(this.map);
    const credit = L.control.attribution({ prefix: false }).addTo(this.map);
    if (config.tiles) {
      this.map.getContainer().classList.add("tiled");
      // The host of the tiles is told which site asks, as many demand, and nothing of the address.
      L.tileLayer(config.tiles, { attribution: config.attribution, referrerPolicy: "strict-origin", maxZoom: 19 }).addTo(this.map);
    } else {
      credit.addAttribution(words.outlines);
      this.#outline();
      this.map.on("moveend resize", () => this.#drawNet());
    }
    this.map.on("zoomend", () => this.#ringed());
  }

  async #outline() {
    const answer = await fetch(new URL("outlines.json", import.meta.url));
    const world = await answer.json();
    const arcs = world.arcs.map((steps) => {
      let [x, y] = [0, 0];
      return Array.from({ length: steps.length / 2 }, (_, index) => {
        x += steps[2 * index];
        y += steps[2 * index + 1];
        return [y / PER_DEGREE, x / PER_DEGREE];
      });
    });
    const arc = (index) => (index < 0 ? arcs[~index].toReversed() : arcs[index]);
    const renderer = L.svg({ pane: "land", padding: 0.5 });
    const common = { pane: "land", renderer, interactive: false, smoothFactor: 0.8 };
    const land = L.polygon(world.land.map((ring) => ring.flatMap(arc)), { ...common, className: "land" });
    const borders = L.polyline(world.borders.map(arc), { ...common, className: "border" });
    this.outlines = L.layerGroup([land, borders]);
    const drawn = () => {
      const near = this.map.getZoom() >= FAR;
      this.map.getContainer().classList.toggle("near", near);
      if (near) this.outlines.remove();
      else this.outlines.addTo(this.map);
    };
    this.map.on("zoomend", drawn);
    if (this.map._loaded) drawn();
    else this.map.whenReady(drawn);
  }

  #drawNet() {
    this.net.clearLayers();
    const box = this.map.getBounds();
    const size = this.map.getSize();
    const wished = ((box.getEast() - box.getWest()) * LINES) / Math.max(size.x, 1);
    const step = STEPS.findLast((each) => each >= wished) ?? STEPS[0];
    const [south, north] = [Math.max(box.getSouth(), -85), Math.min(box.getNorth(), 85)];
    const style = { pane: "net", className: "net", interactive: false, renderer: (this.netRenderer ??= L.svg({ pane: "net" })) };
    const label = (at, classes, text) => {
      const html = element("span", {}, text);
      L.marker(at, { pane: "net", interactive: false, keyboard: false, icon: L.divIcon({ className: classes, html, iconSize: [0, 0] }) }).addTo(this.net);
    };
    const [west, east] = [box.getWest(), box.getEast()];
    const fine = { ...style, className: "net fine" };
    for (const x of between(west, east, step / PARTS)) L.polyline([[south, x], [north, x]], fine).addTo(this.net);
    for (const y of between(south, north, step / PARTS)) L.polyline([[y, west], [y, east]], fine).addTo(this.net);
    for (const x of between(west, east, step)) {
      L.polyline([[south, x], [north, x]], style).addTo(this.net);
      label([north, x], "degree meridian", degrees(((((x + 180) % 360) + 360) % 360) - 180, step, "E", "W"));
    }
    for (const y of between(south, north, step)) {
      L.polyline([[y, west], [y, east]], style).addTo(this.net);
      label([y, east], "degree parallel", degrees(y, step, "N", "S"));
    }
  }

  // Where somebody is, with rings that tell how far it is.
  stand(at) {
    this.me = at;
    this.#ringed();
  }

  #ringed() {
    this.here.clearLayers();
    if (!this.me) return;
    const at = [this.me.latitude, this.me.longitude];
    const html = element("span", { title: words.me });
    L.marker(at, { icon: L.divIcon({ className: "me", html, iconSize: [22, 22] }), interactive: false, keyboard: false }).addTo(this.here);
    const across = (40075016 * Math.cos((at[0] * Math.PI) / 180)) / (256 * 2 ** this.map.getZoom()); // metres of a pixel
    const rings = RINGS.map((each) => each * (inMiles() ? 1609.344 : 1000)).filter((radius) => radius / across > 70);
    for (const radius of rings.slice(0, 3)) {
      L.circle(at, { radius, className: "around", interactive: false, pane: "net", renderer: (this.netRenderer ??= L.svg({ pane: "net" })) }).addTo(this.here);
      const top = [at[0] + radius / 111320, at[1]];
      const html = element("span", {}, distance(radius));
      L.marker(top, { pane: "net", interactive: false, keyboard: false, icon: L.divIcon({ className: "degree radius", html, iconSize: [0, 0] }) }).addTo(this.here);
    }
  }

  go(at, zoom) {
    this.map.setView([at.latitude, at.longitude], zoom ?? this.map.getZoom(), { animate: !still.matches });
  }

  // All of these points in view, as large as that allows; few are shown with their surroundings.
  fit(points, closest) {
    if (points.length === 0) this.map.setView([25, 0], 2);
    else this.map.fitBounds(L.latLngBounds(points.map((each) => [each.latitude, each.longitude])), { padding: [48, 48], maxZoom: closest, animate: !still.matches });
  }

  get centre() {
    const { lat, lng } = this.map.getCenter().wrap();
    return { latitude: lat, longitude: lng };
  }

  // The copy of a point's longitude that is nearest to the middle of the map.
  placed(point) {
    const turns = Math.round((this.map.getCenter().lng - point.longitude) / 360);
    return L.latLng(point.latitude, point.longitude + turns * 360);
  }
}

// The multiples of a step from one number to another; counted, for sums of fractions go astray.
function between(from, to, step) {
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, index) => (first + index) * step);
}

function degrees(value, step, above, below) {
  const digits = step >= 1 ? 0 : Math.ceil(-Math.log10(step));
  const shown = Math.abs(value).toFixed(digits);
  return Number(shown) === 0 ? "0°" : `${number(Number(shown), digits)}° ${value > 0 ? above : below}`;
}
