// The page: what is seen is followed, and the map, the list and the open place show the same.

import * as address from "./address.js";
import { Chart } from "./chart.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { pin, ring } from "./pins.js";
import { Place } from "./place.js";
import { ordered, ports, shown } from "./places.js";
import { Sheet } from "./sheet.js";
import { Signs } from "./signs.js";
import { config, element, fill, number, time, words } from "./words.js";

const WORLD = "-180,-85,180,85";
const AT_ONCE = 500; // places that the server tells of a box
const NEAREST = 60; // places of the list where the map shows groups alone
const LOOK_AFTER = 250; // milliseconds after the last move
const CLOSER = 15; // zoom at which a place is opened

const asked = address.read();
let { filters, place: opened } = asked;
let stations = new Map();
let clusters = new Map();
let listed = new Map(); // those of the list: the same, or the nearest where the map shows groups
let heard = null;
let me = null;

const byId = (id) => document.getElementById(id);
const form = byId("filters");
const said = byId("said");
const say = (text) => (said.textContent = text);

const chart = new Chart(byId("map"));
const signs = new Signs(chart, { open: (station) => open(station.id), enter: (points) => chart.fit(points) });
const list = new List({ open: (id) => open(id), light: (id) => signs.light(id), retry: () => live.retry(), clear: () => clear() });
const place = new Place({ close: () => close(), say });
const sheet = new Sheet(() => setTimeout(() => chart.map.invalidateSize({ pan: false }), 220));
const live = new Live(config.root, {
  snapshot: (places) => {
    stations = new Map(places.stations.map((each) => [each.id, each]));
    clusters = new Map(places.clusters.map((each) => [each.cell, each]));
    heard = new Date();
    relist();
  },
  change: (changed) => {
    for (const station of changed) {
      stations.set(station.id, station);
      if (listed.has(station.id)) listed.set(station.id, station);
      list.update(station, filters);
    }
    followed(changed.map((station) => station.id));
  },
  gone: (ids) => {
    for (const id of ids) stations.delete(id);
    relist();
    followed(ids);
  },
  clusters: (changed) => {
    for (const each of changed) {
      if (each.stations > 0) clusters.set(each.cell, each);
      else clusters.delete(each.cell);
    }
    heard = new Date();
    draw();
  },
  state: (state) => {
    const texts = { live: words.live, connecting: words.connecting, away: heard ? fill(words.not_live, { time: time(heard) }) : words.connecting };
    byId("live").textContent = texts[state];
    byId("live").dataset.state = state;
  },
  failed: () => list.failed(),
});

// What has changed is drawn, and read anew where it is open.
function followed(ids) {
  heard = new Date();
  draw();
  if (ids.includes(opened)) place.read();
}

function draw() {
  const points = [...clusters.values(), ...[...stations.values()].filter((each) => shown(each, filters))];
  signs.draw(points, filters, opened);
  const free = points.reduce((sum, each) => sum + (each.id ? ports(each, filters).free : each.counts.free), 0);
  const sum = { stations: points.reduce((before, each) => before + (each.stations ?? 1), 0), free };
  list.sum(sum);
  return sum;
}

// The list in a new order: what is seen is another, or asks for other filters.
async function relist() {
  const crowded = clusters.size > 0;
  listed = crowded ? await nearest() : stations;
  const origin = me ?? chart.centre;
  const fitting = [...listed.values()].filter((each) => shown(each, filters));
  list.show(ordered(fitting, origin, filters), filters, draw(), { crowded, address: (id) => address.write({ ...where(), place: id }) });
}

// The places nearest to the middle, of more than can be told one by one.
async function nearest() {
  const { latitude, longitude } = chart.centre;
  const query = new URLSearchParams([["near", `${latitude},${longitude}`], ["radius", "100000"], ["limit", String(NEAREST)], ...address.asking(filters)]);
  try {
    const answer = await fetch(`${config.root}v1/stations?${query}`);
    const { stations: found } = answer.ok ? await answer.json() : { stations: [] };
    return new Map(found.map((each) => [each.id, each]));
  } catch {
    return new Map();
  }
}

const where = () => ({ near: chart.centre, zoom: chart.map.getZoom(), filters, place: opened });

function look() {
  history.replaceState(history.state, "", address.write(where()));
  const query = new URLSearchParams([["bbox", address.box(chart.map.getBounds())], ...address.asking(filters, { live: true })]);
  const once = new URLSearchParams(query);
  once.set("limit", String(AT_ONCE));
  list.waiting();
  live.follow(query, once);
}

async function open(id) {
  if (opened !== id) history.pushState({ within: true }, "", address.write({ ...where(), place: id }));
  await show(id);
}

async function show(id) {
  opened = id;
  byId("browse").hidden = true;
  byId("foot").hidden = true;
  sheet.atLeast("half");
  const station = await place.open(id, filters);
  if (opened !== id) return;
  byId("scroll").scrollTop = 0;
  byId("place-name")?.focus({ preventScroll: true });
  if (station && !chart.map.getBounds().pad(-0.1).contains(chart.placed(station))) chart.go(station, Math.max(chart.map.getZoom(), CLOSER));
  draw();
}

// Back to the list; the browser's own way back does the same.
function close() {
  if (history.state?.within) history.back();
  else {
    history.replaceState(null, "", address.write({ ...where(), place: null }));
    hide();
  }
}

function hide() {
  const id = opened;
  opened = null;
  place.close();
  byId("browse").hidden = false;
  byId("foot").hidden = false;
  draw();
  if (id !== null) list.focus(id);
}

function choose() {
  const given = new FormData(form);
  filters = { free: given.get("free") === "true", min_kw: Number(given.get("min_kw")) || 0, connector: given.getAll("connector") };
  labelled();
  look();
  relist();
}

function clear() {
  for (const each of form.elements) if (each.type === "checkbox") each.checked = false;
  form.elements.min_kw.value = "";
  choose();
}

function labelled() {
  const { length } = filters.connector;
  byId("plug-label").textContent = length ? fill(words.filters.plugs, { n: number(length) }) : words.filters.any_plug;
  byId("plugs").classList.toggle("chosen", length > 0);
}

function locate() {
  const failed = () => say(words.near_me_failed);
  if (!navigator.geolocation) return failed();
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      me = { latitude: coords.latitude, longitude: coords.longitude };
      chart.stand(me);
      chart.go(me, 14);
      relist();
    },
    failed,
    { maximumAge: 60_000, timeout: 15_000 },
  );
}

function explained() {
  const counts = { free: 5, busy: 3, reserved: 0, out_of_order: 1, unknown: 0 };
  const signed = ["free", "busy", "reserved", "out_of_order", "unknown"].map((name) => [pin(name, name === "free" ? 3 : 0), words.key[name]]);
  signed.push([pin("free", 3, true), words.key.fast], [ring(counts), words.key.group]);
  byId("key").replaceChildren(...signed.map(([picture, text]) => element("li", {}, picture, element("span", {}, text))));
}

async function begin() {
  explained();
  labelled();
  live.on.state("connecting");
  if (asked.near) chart.go(asked.near, asked.zoom);
  else {
    try {
      const answer = await fetch(`${config.root}v1/stations?bbox=${WORLD}&limit=${AT_ONCE}`);
      const { stations: found, clusters: groups } = await answer.json();
      chart.fit([...found, ...groups]);
    } catch {
      chart.fit([]);
    }
  }
  let waiting;
  chart.map.on("moveend", () => {
    draw();
    clearTimeout(waiting);
    waiting = setTimeout(look, LOOK_AFTER);
  });
  look();
  if (opened) await show(opened);
}

form.addEventListener("change", choose);
form.addEventListener("submit", (event) => event.preventDefault());
byId("locate").addEventListener("click", locate);
byId("in").addEventListener("click", () => chart.map.zoomIn());
byId("out").addEventListener("click", () => chart.map.zoomOut());
addEventListener("popstate", () => {
  const { place: id } = address.read();
  if (id) show(id);
  else if (opened) hide();
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (byId("plugs").open) {
    byId("plugs").open = false;
    byId("plugs").firstElementChild.focus();
  } else if (opened) close();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("#plugs")) byId("plugs").open = false;
});
begin();
