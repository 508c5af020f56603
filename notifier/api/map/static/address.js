// What is shown stands in the page's address, so that it can be kept and sent to others.

const NEAR = /^(-?[0-9.]+),(-?[0-9.]+)$/;

export function read() {
  const asked = new URLSearchParams(location.search);
  const near = NEAR.exec(asked.get("near") ?? "");
  return {
    near: near && { latitude: Math.max(-85, Math.min(85, Number(near[1]))), longitude: Number(near[2]) },
    zoom: Number(asked.get("zoom")) || 13,
    place: asked.get("place"),
    filters: { free: asked.get("free") === "true", min_kw: Number(asked.get("min_kw")) || 0, connector: asked.getAll("connector") },
  };
}

// The address of what is shown; what it had besides, such as the language, stays.
export function write({ near, zoom, place, filters }) {
  const kept = new URLSearchParams(location.search);
  for (const name of ["near", "zoom", "place", "free", "min_kw", "connector"]) kept.delete(name);
  if (near) kept.set("near", `${near.latitude.toFixed(4)},${near.longitude.toFixed(4)}`);
  if (near && zoom) kept.set("zoom", String(zoom));
  for (const [name, value] of asking(filters)) kept.append(name, value);
  if (place) kept.set("place", place);
  const text = kept.toString().replaceAll("%2C", ",");
  return text ? `?${text}` : location.pathname;
}

// Filters as the server is asked for them.
export function asking(filters) {
  const asked = filters.connector.map((each) => ["connector", each]);
  if (filters.min_kw) asked.push(["min_kw", String(filters.min_kw)]);
  if (filters.free) asked.push(["free", "true"]);
  return asked;
}

// A box as the server wants it: west, south, east, north; it may cross the 180th meridian.
export function box(bounds) {
  const turned = (x) => ((((x + 180) % 360) + 360) % 360) - 180;
  const whole = bounds.getEast() - bounds.getWest() >= 360;
  const [west, east] = whole ? [-180, 180] : [turned(bounds.getWest()), turned(bounds.getEast())];
  const [south, north] = [Math.max(-90, bounds.getSouth()), Math.min(90, bounds.getNorth())];
  return [west, south, east, north].map((each) => each.toFixed(5)).join();
}
