// The map page: what is shown follows the map's view and the filters, and the server tells what changes.

import * as address from "./address.js";
import { Chart } from "./chart.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { pin, ring } from "./pins.js";
import { CONDITIONS, ordered, ports, shown, summed } from "./places.js";
import { Place } from "./place.js";
import { Sheet } from "./sheet.js";
import { Signs } from "./signs.js";
import { config, element, fill, number, time, words } from "./words.js";

const SETTLED = 250; // milliseconds without a move after which the map's view is asked for
const MARGIN = 0.15; // of the view that is asked for on each side, so that a small move shows something at once
const NEAREST = 30; // places in the list while the map shows more than can be told
const RADIUS = 100_000; // metres within which these are
const NEAREST_AGAIN = 30_000; // milliseconds until these are asked for again
const CLOSE = 14; // zoom at which somebody sees what is around them
const TOWN = 11.5; // zoom at which a town is seen whole
const MOST = 500; // places that are drawn one by one: the most that the server tells at once
const AGAIN = 5_000; // milliseconds until places are asked for again of which the stream tells no more than sums
const WORLD = "-180,-85,180,85";

const state = address.read();
const stations = new Map();
let clusters = []; // instead of stations, where the view has too many
let listed = [];
let asked = null; // the part of the world that is followed
let again = 0; // the timer of the next question
let opener = null;
let heard = null; // when the server last told something

const chart = new Chart("map");
const sheet = new Sheet(() => chart.map.invalidateSize({ animate: false }));
const signs = new Signs(chart, { open: (station) => open(station.id), enter });
const list = new List({ open, light: (id) => signs.light(id), retry: () => live.retry(), clear });
const place = new Place({ close: () => history.state?.opened ? history.back() : close(), say });
const live = new Live(config.root, { snapshot, change, gone, clusters: clustered, state: tell, failed });

// What the server tells

function snapshot(places) {
  heard = Date.now();
  clearTimeout(again);
  again = 0;
  shownAs(places);
  if (clusters.length > 0 && summary().stations <= MOST) each();
}

function shownAs(places) {
  stations.clear();
  for (const each of places.stations) stations.set(each.id, each);
  clusters = places.clusters;
  arrange();
}

// The stream tells of whole cells. Where these have too many places to be told one by one and the view has not, the
// places of the view are asked for, and again when a sum changes.
async function each() {
  const query = asked.query;
  again = 0;
  const answer = await fetch(`${config.root}v1/stations?${query}&limit=${MOST}`).catch(() => null);
  const places = answer?.ok ? await answer.json() : null;
  if (places?.stations.length > 0 && query === asked.query) shownAs(places);
}

function change(changed) {
  heard = Date.now();
  const isNew = changed.some((each) => !stations.has(each.id));
  for (const each of changed) {
    stations.set(each.id, each);
    list.update(each, state.filters);
    if (each.id === place.id) place.read();
  }
  if (isNew) arrange();
  else redraw();
}

function clustered(changed) {
  heard = Date.now();
  if (clusters.length === 0) {
    again ||= setTimeout(each, AGAIN);
    return;
  }
  const known = new Map(clusters.map((each) => [each.cell, each]));
  for (const each of changed) known.set(each.cell, each);
  clusters = [...known.values()].filter((each) => each.stations > 0);
  redraw();
}

function gone(ids) {
  heard = Date.now();
  for (const id of ids) stations.delete(id);
  if (ids.includes(place.id)) place.read();
  arrange();
}

function failed() {
  list.failed();
}

function tell(now) {
  const node = document.getElementById("live");
  const text = now === "live" ? words.live : heard === null ? words.connecting : fill(words.not_live, { time: time(heard) });
  if (node.textContent !== text) node.textContent = text;
  node.className = `live ${now === "live" ? "on" : now}`;
}

function say(text) {
  document.getElementById("said").textContent = text;
}

// What is shown

const inView = (point) => chart.map.getBounds().contains(chart.placed(point));

// The list is put into order anew: the view or the filters have changed, or all has been told again.
async function arrange() {
  const origin = chart.me && inView(chart.me) ? chart.me : chart.centre;
  let found = [...stations.values()].filter(inView);
  const crowded = clusters.length > 0;
  if (crowded) found = await nearest(origin);
  listed = ordered(found.filter((each) => shown(each, state.filters)), origin, state.filters);
  list.show(listed, state.filters, summary(), { crowded, address: (id) => address.write({ ...state, place: id }) });
  redraw();
}

let nearestAsked = 0;

async function nearest(origin) {
  const query = new URLSearchParams([
    ["near", `${origin.latitude.toFixed(5)},${origin.longitude.toFixed(5)}`], ["radius", RADIUS], ["limit", NEAREST], ...address.asking(state.filters),
  ]);
  const turn = (nearestAsked += 1);
  try {
    const answer = await fetch(`${config.root}v1/stations?${query}`);
    const places = answer.ok ? (await answer.json()).stations : [];
    return turn === nearestAsked ? places : listed.map((each) => each.station);
  } catch {
    return listed.map((each) => each.station);
  }
}

function summary() {
  const points = clusters.length > 0 ? clusters.filter(inView) : [...stations.values()].filter(inView);
  const seen = points.filter((each) => !each.id || shown(each, state.filters));
  const free = seen.reduce((sum, each) => sum + (each.id ? ports(each, state.filters).free : each.counts.free), 0);
  return { stations: summed(seen).stations, free };
}

let frame = 0;

function redraw() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    // What is in the list stays on the map though it is no longer free: nothing vanishes under the finger.
    const single = [...stations.values()].filter((each) => shown(each, state.filters) || list.has(each.id));
    const sums = clusters.filter((each) => !state.filters.free || each.counts.free > 0);
    signs.draw(clusters.length > 0 ? sums : single, listed, state.filters, place.id);
    list.sum(summary());
  });
}

function follow() {
  asked = { box: chart.map.getBounds().pad(MARGIN), zoom: chart.map.getZoom() };
    // What is free is sorted out here, so that a place which is taken doesn't vanish under the finger.
  const query = new URLSearchParams([["bbox", address.box(asked.box)], ...address.asking({ ...state.filters, free: false })]).toString();
  asked.query = query;
  list.waiting();
  live.follow(query, `${query}&limit=${MOST}`);
}

let settling = 0;

function moved() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    state.near = chart.centre;
    state.zoom = chart.map.getZoom();
    keep();
    const same = asked?.zoom === state.zoom && asked.box.contains(chart.map.getBounds());
    if (same) arrange();
    else follow();
  }, SETTLED);
  redraw();
}

const keep = () => history.replaceState(history.state, "", address.write(state));

function enter(members) {
  if (chart.map.getZoom() >= chart.map.getMaxZoom()) return list.focus(members[0].id);
  const box = L.latLngBounds(members.map((each) => chart.placed(each)));
  const closer = Math.max(chart.map.getBoundsZoom(box.pad(0.2)), chart.map.getZoom() + (members[0].id ? 1 : 2));
  chart.map.setView(box.getCenter(), Math.min(closer, chart.map.getMaxZoom()));
}

// One place

async function open(id, { push = true } = {}) {
  opener = id;
  state.place = id;
  if (push) history.pushState({ opened: true }, "", address.write(state));
  document.getElementById("browse").hidden = true;
  document.getElementById("scroll").scrollTop = 0;
  const reading = place.open(id, state.filters);
  sheet.atLeast("half");
  place.heading.focus({ preventScroll: true });
  redraw();
  const station = await reading;
  if (station && !inView(station)) chart.go(station, Math.max(chart.map.getZoom() || 0, CLOSE));
}

function close() {
  state.place = null;
  keep();
  hide();
}

function hide() {
  if (place.id === null) return;
  place.close();
  document.getElementById("browse").hidden = false;
  list.focus(opener);
  redraw();
}

addEventListener("popstate", () => {
  const before = JSON.stringify(state.filters);
  const now = address.read();
  Object.assign(state, { place: now.place, filters: now.filters });
  if (now.place) open(now.place, { push: false });
  else hide();
  if (JSON.stringify(state.filters) !== before) showFilters();
});

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (plugs.open) {
    plugs.open = false;
    plugs.firstElementChild.focus();
  } else if (place.id !== null) place.on.close();
});

// Filters

const form = document.getElementById("filters");
const plugs = document.getElementById("plugs");

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => {
  const given = new FormData(form);
  state.filters = { free: given.has("free"), min_kw: Number(given.get("min_kw")), connector: given.getAll("connector") };
  keep();
  filtered();
});
document.addEventListener("click", (event) => {
  if (plugs.open && !plugs.contains(event.target)) plugs.open = false;
});

function filtered() {
  const { connector, min_kw } = state.filters;
  const name = connector.length === 0 ? words.filters.any_plug : connector.length === 1 ? config.plugs[connector[0]] : fill(words.filters.plugs, { n: number(connector.length) });
  document.getElementById("plug-label").textContent = name ?? connector[0];
  plugs.classList.toggle("set", connector.length > 0);
  form.elements.min_kw.parentElement.classList.toggle("set", min_kw > 0);
  if (place.id !== null) place.filters = state.filters;
  if (chart.map._loaded) follow();
}

function showFilters() {
  form.elements.free.checked = state.filters.free;
  form.elements.min_kw.value = state.filters.min_kw || "";
  for (const box of form.querySelectorAll("[name=connector]")) box.checked = state.filters.connector.includes(box.value);
  filtered();
}

function clear() {
  state.filters = { free: false, min_kw: 0, connector: [] };
  keep();
  showFilters();
  list.found.focus();
}

// The tools on the map

const tool = (id, act) => document.getElementById(id).addEventListener("click", act);

tool("in", () => chart.map.zoomIn(1));
tool("out", () => chart.map.zoomOut(1));
tool("locate", () => {
  const button = document.getElementById("locate");
  button.setAttribute("aria-busy", "true");
  const done = () => button.removeAttribute("aria-busy");
  const found = ({ coords }) => {
    done();
    const me = { latitude: coords.latitude, longitude: coords.longitude };
    chart.stand(me);
    chart.go(me, CLOSE);
  };
  const missed = () => {
    done();
    button.lastElementChild.textContent = words.near_me_failed;
    say(words.near_me_failed);
    setTimeout(() => (button.lastElementChild.textContent = words.near_me), 5_000);
  };
  if (!navigator.geolocation) return missed();
  navigator.geolocation.getCurrentPosition(found, missed, { enableHighAccuracy: true, timeout: 10_000, maximumAge: 60_000 });
});

function explainSigns() {
  const counts = Object.fromEntries(CONDITIONS.map((name, index) => [name, [3, 2, 1, 1, 0][index]]));
  const rows = CONDITIONS.map((name) => [pin(name, name === "free" ? 2 : 0), words.key[name]]);
  rows.push([pin("free", 2, true), words.key.fast], [ring(counts), words.key.group]);
  document.getElementById("key").replaceChildren(...rows.map(([sign, text]) => element("li", {}, sign, element("span", {}, text))));
}

// Links away keep what is shown.
function leave(link, keeping) {
  link.addEventListener("click", () => {
    const asked = new URLSearchParams(address.write(state).replace(/^[^?]*/, ""));
    asked.delete("embed");
    if (keeping.lang) asked.set("lang", keeping.lang);
    link.search = asked;
  });
}

for (const link of document.querySelectorAll("nav [hreflang]")) leave(link, { lang: link.hreflang });
if (config.embed) leave(document.getElementById("whole"), {});

// Beginning

async function begin() {
  explainSigns();
  tell("connecting");
  showFilters();
  if (state.near) chart.go(state.near, state.zoom);
  else await everywhere();
  chart.map.on("moveend", moved);
  follow();
  if (state.place) await open(state.place, { push: false });
}

// The map begins with whatever there is.
async function everywhere() {
  let places = { stations: [], clusters: [] };
  try {
    const answer = await fetch(`${config.root}v1/stations?bbox=${WORLD}&limit=${MOST}`);
    if (answer.ok) places = await answer.json();
  } catch {
    // The stream says that nothing can be reached.
  }
  if (places.clusters.length > 0) chart.fit(places.clusters, TOWN);
  else chart.fit(places.stations, CLOSE);
}

setInterval(() => clusters.length > 0 && !document.hidden && arrange(), NEAREST_AGAIN);
begin();
