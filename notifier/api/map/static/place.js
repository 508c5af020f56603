// One place: its ports and for how long they have been so, the way there, and being told when one is free.

import { Alerts } from "./alerts.js";
import { all, condition, ports } from "./places.js";
import { bar, pin } from "./pins.js";
import { age, ago, config, element, fill, number, plug, words } from "./words.js";
import { told } from "./list.js";

export class Place {
  // `on` has close() and say(text).
  constructor(on) {
    this.node = document.getElementById("place");
    this.on = on;
    this.id = null;
    this.alerts = new Alerts(on, () => this.#draw());
    setInterval(() => this.#draw(), 30_000);
  }

  async open(id, filters) {
    this.id = id;
    this.filters = filters;
    this.station = null;
    this.heading = element("h2", { tabindex: "-1", id: "place-name" });
    this.body = element("div");
    const back = element("button", { type: "button", class: "back" }, words.place.back);
    back.addEventListener("click", () => this.on.close());
    this.node.setAttribute("aria-labelledby", "place-name");
    this.node.replaceChildren(back, this.heading, this.body);
    this.node.hidden = false;
    await Promise.all([this.read(), this.alerts.read()]);
    return this.station;
  }

  close() {
    this.id = null;
    this.node.hidden = true;
    this.node.replaceChildren();
  }

  // Read the place anew: it is open, and something of it has changed.
  async read() {
    const id = this.id;
    try {
      const answer = await fetch(`${config.root}v1/stations/${encodeURIComponent(id)}`);
      if (id !== this.id) return;
      if (answer.status === 404) return this.#failed(words.place.gone);
      if (!answer.ok) throw new Error(String(answer.status));
      const before = this.station;
      this.station = await answer.json();
      this.#draw();
      const line = this.#line();
      if (before && this.said !== line) this.on.say(`${this.station.name}: ${line}`);
      this.said = line;
    } catch {
      if (id === this.id && !this.station) this.#failed(words.error);
    }
  }

  #failed(text) {
    this.heading.textContent = words.title;
    this.body.replaceChildren(element("p", { class: "note" }, text));
  }

  #line() {
    const { free } = this.station.counts;
    return told(condition(this.station.counts), { free, all: all(this.station.counts) });
  }

  #draw() {
    const { station } = this;
    if (!station || this.id === null) return;
    const focused = document.activeElement?.dataset?.act;
    const where = [station.address, station.city].filter(Boolean).join(", ");
    this.heading.textContent = station.name;
    this.body.replaceChildren(
      element("p", { class: "where" }, where),
      station.operator ? element("p", { class: "where" }, fill(words.place.operator, { name: station.operator })) : "",
      element("p", { class: `standing ${condition(station.counts)}` }, this.#line()),
      bar(station.counts),
      this.#way(),
      this.alerts.draw(station, this.filters, ports(station, this.filters).free),
      element("h3", {}, words.place.ports),
      this.#ports(),
      element("p", { class: "age" }, station.heard_at ? fill(words.place.heard, { ago: ago(station.heard_at) }) : ""),
    );
    if (focused) this.body.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  #ports() {
    const order = ["free", "busy", "reserved", "out_of_order", "unknown"];
    const sorted = station_ports(this.station).sort((a, b) => order.indexOf(a.its) - order.indexOf(b.its));
    return element("ul", { class: "ports" }, ...sorted.map(({ port, its }) =>
      element("li", {},
        pin(its, its === "free" ? 1 : 0),
        element("span", { class: "what" },
          element("span", { class: `state ${its}` }, fill(words.since[its], { age: age(port.since) })),
          element("span", { class: "more" }, [fill(words.place.port, { n: port.uid }), plugs(port)].filter(Boolean).join(" · ")),
        ),
      )));
  }

  // The way there, by whatever shows it on this device; nobody else is asked before somebody chooses it.
  #way() {
    const { latitude: lat, longitude: lon, name } = this.station;
    const maps = {
      Google: `https://www.google.com/maps/dir/?api=1&destination=${lat},${lon}`,
      Apple: `https://maps.apple.com/?daddr=${lat},${lon}`,
      OpenStreetMap: `https://www.openstreetmap.org/directions?to=${lat},${lon}`,
    };
    const agent = navigator.userAgent;
    const own = /Android/.test(agent) ? `geo:${lat},${lon}?q=${lat},${lon}(${encodeURIComponent(name)})` : /iPhone|iPad|Mac OS/.test(agent) ? maps.Apple : maps.OpenStreetMap;
    const link = (href, text, classes) =>
      element("a", { href, class: classes, data: { act: text }, ...(href.startsWith("geo:") ? {} : { target: "_blank" }), rel: "noopener noreferrer" }, text);
    const others = Object.entries(maps).filter(([, href]) => href !== own).map(([text, href]) => link(href, text, "other"));
    return element("p", { class: "way" }, link(own, words.place.directions, "button"), element("span", {}, words.place.directions_in, " "), ...others);
  }
}

const station_ports = (station) => station.evses.map((port) => ({ port, its: port.condition.replaceAll("-", "_") }));

function plugs(port) {
  return port.connectors
    .map((each) => [plug(each.standard), each.kw > 0 ? fill(words.kw, { kw: number(each.kw) }) : ""].filter(Boolean).join(" "))
    .join(", ");
}
