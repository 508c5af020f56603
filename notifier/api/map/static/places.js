// Places as plain data: what is free of them, how they are ordered, and which stand so close that they are drawn as one.

export const CONDITIONS = ["free", "busy", "reserved", "out_of_order", "unknown"];
export const FAST = 50; // kW from which a place is marked as fast
const CELL = 76; // pixels of the squares within which places are drawn as one
const APART = 52; // pixels that two signs must be apart
const EARTH = 6371008.8; // metres: the mean radius

export const all = (counts) => CONDITIONS.reduce((sum, name) => sum + counts[name], 0);

const fits = (connector, filters) =>
  (filters.connector.length === 0 || filters.connector.includes(connector.standard)) &&
  (connector.kw ?? 0) >= filters.min_kw;

// How many ports are free, and of how many, counting what the filters ask for alone.
export function ports(station, filters) {
  const total = all(station.counts);
  if (filters.connector.length === 0 && !filters.min_kw) return { free: station.counts.free, all: total };
  const matching = station.connectors.filter((each) => fits(each, filters));
  const sum = (name) => matching.reduce((before, each) => before + each[name], 0);
  return { free: Math.min(sum("free"), station.counts.free), all: Math.min(sum("all"), total) };
}

export const shown = (station, filters) => !filters.free || ports(station, filters).free > 0;

// The one condition that stands for a place: whatever is best of it.
export function condition(counts, free = counts.free) {
  if (free > 0) return "free";
  return ["busy", "reserved", "unknown", "out_of_order"].find((name) => counts[name] > 0) ?? "busy";
}

export function metres(a, b) {
  const rad = Math.PI / 180;
  const [x, y] = [Math.sin(((b.latitude - a.latitude) * rad) / 2), Math.sin(((b.longitude - a.longitude) * rad) / 2)];
  const part = x * x + Math.cos(a.latitude * rad) * Math.cos(b.latitude * rad) * y * y;
  return 2 * EARTH * Math.asin(Math.sqrt(Math.min(1, part)));
}

// What is free comes first, then what is near.
export function ordered(stations, origin, filters) {
  const keyed = stations.map((station) => [ports(station, filters).free > 0 ? 0 : 1, metres(origin, station), station]);
  keyed.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return keyed.map(([, distance, station]) => ({ distance, station }));
}

// Groups of places that are drawn as one sign. `pixel` tells where on an endless sheet a place lies at this zoom: squares of
// that sheet stay where they are while the map is moved, so no sign changes under the finger.
export function groups(points, pixel) {
  const squares = new Map();
  for (const point of points) {
    const at = pixel(point);
    const key = `${Math.floor(at.x / CELL)}:${Math.floor(at.y / CELL)}`;
    const square = squares.get(key) ?? { x: 0, y: 0, members: [] };
    squares.set(key, square);
    const before = square.members.length;
    square.x = (square.x * before + at.x) / (before + 1);
    square.y = (square.y * before + at.y) / (before + 1);
    square.members.push(point);
  }
  const kept = [];
  for (const square of [...squares.values()].sort((a, b) => b.members.length - a.members.length)) {
    const near = kept.find((other) => Math.hypot(other.x - square.x, other.y - square.y) < APART);
    if (near) near.members.push(...square.members);
    else kept.push(square);
  }
  return kept;
}

export function summed(points) {
  const counts = Object.fromEntries(CONDITIONS.map((name) => [name, 0]));
  for (const point of points) for (const name of CONDITIONS) counts[name] += point.counts[name];
  return { counts, stations: points.reduce((sum, point) => sum + (point.stations ?? 1), 0) };
}
