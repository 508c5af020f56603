// The list beside the map: the same places, in an order that changes when the view does and never under the finger.

import { FAST, all, condition, ports } from "./places.js";
import { pin } from "./pins.js";
import { count, distance, element, fill, number, plug, words } from "./words.js";

const MOST = 60; // places in the list: who looks for more moves the map

export class List {
  // `on` has open(id), light(id), retry() and clear().
  constructor(on) {
    this.on = on;
    this.node = document.getElementById("places");
    this.found = document.getElementById("found");
    this.note = document.getElementById("note");
    this.links = new Map();
    this.node.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      on.open(link.dataset.id);
    });
    for (const name of ["pointerover", "focusin"]) {
      this.node.addEventListener(name, (event) => on.light(event.target.closest("a")?.dataset.id));
    }
    for (const name of ["pointerleave", "focusout"]) this.node.addEventListener(name, () => on.light(null));
  }

  // Show these places in this order; `sum` is what the map shows, which may be more.
  show(listed, filters, sum, { crowded, address }) {
    const focused = document.activeElement?.closest?.("#places a")?.dataset.id;
    this.links = new Map();
    const items = listed.slice(0, MOST).map(({ station, distance: metres }) => {
      const link = element("a", { href: address(station.id), data: { id: station.id } });
      this.links.set(station.id, { link, metres });
      this.#fill(station, filters);
      return element("li", {}, link);
    });
    this.node.replaceChildren(...items);
    if (focused) this.links.get(focused)?.link.focus({ preventScroll: true });
    this.#tell(listed.length, filters, sum, crowded);
  }

  // Show what has changed of a place where it stands.
  update(station, filters) {
    if (this.links.has(station.id)) this.#fill(station, filters);
  }

  has(id) {
    return this.links.has(id);
  }

  // Bring the focus back to a place, or to the list where the place isn't in it any more.
  focus(id) {
    (this.links.get(id)?.link ?? this.found).focus();
  }

  sum(sum) {
    const told = `${count(words.found, sum.stations)} · ${count(words.with_free, sum.free)}`;
    if (this.found.textContent !== told) this.found.textContent = told;
  }

  failed() {
    if (this.links.size > 0) return;
    const retry = element("button", { type: "button" }, words.retry);
    retry.addEventListener("click", () => this.on.retry());
    this.found.textContent = words.places;
    this.#noted(element("p", {}, words.error), retry);
  }

  waiting() {
    this.node.classList.add("waiting");
  }

  #tell(n, filters, sum, crowded) {
    this.node.classList.remove("waiting");
    this.sum(sum);
    const filtered = filters.free || filters.min_kw || filters.connector.length > 0;
    if (n === 0) {
      const clear = element("button", { type: "button", class: "quiet" }, words.filters.clear);
      clear.addEventListener("click", () => this.on.clear());
      this.#noted(element("p", {}, filtered ? words.empty_filtered : words.empty), filtered ? clear : null);
    } else if (crowded) this.#noted(words.crowded);
    else this.#noted();
    if (n > MOST && !crowded) this.node.append(element("li", { class: "rest" }, fill(words.rest, { n: number(n - MOST) })));
  }

  #noted(...parts) {
    this.note.hidden = parts.length === 0;
    this.note.classList.toggle("plain", typeof parts[0] === "string");
    this.note.replaceChildren(...parts.filter(Boolean));
  }

  #fill(station, filters) {
    const { link, metres } = this.links.get(station.id);
    const its = ports(station, filters);
    const sign = condition(station.counts, its.free);
    const look = [sign, its.free, its.all, metres].join();
    if (link.dataset.look === look) return;
    if (link.dataset.look) {
      link.classList.remove("changed");
      void link.offsetWidth; // so that the animation begins again
      link.classList.add("changed");
    }
    link.dataset.look = look;
    link.replaceChildren(
      pin(sign, its.free, station.max_kw >= FAST),
      element("span", { class: "what" },
        element("span", { class: "name" }, station.name),
        element("span", { class: `state ${sign}` }, told(sign, its)),
        element("span", { class: "more" }, details(station)),
      ),
      element("span", { class: "far" }, distance(metres)),
    );
  }
}

// What is to be said of a place's ports: "3 of 4 free", or what they all are.
export function told(sign, its) {
  if (its.free > 0) return fill(words.some_free, { free: number(its.free), all: number(its.all) });
  if (sign === "busy" && its.all > 1) return fill(words.none_free, { all: number(its.all) });
  return words.condition[sign];
}

export function details(station) {
  const power = station.max_kw > 0 ? fill(all(station.counts) > 1 ? words.up_to : words.kw, { kw: number(station.max_kw) }) : "";
  const plugs = [...new Set(station.connectors.map((each) => plug(each.standard)))];
  return [power, plugs.join(", ")].filter(Boolean).join(" · ");
}
