// The page's words and numbers: in its language, with the units of the browser's region.

export const config = JSON.parse(document.getElementById("config").textContent);
export const words = config.words;

const MILES = ["US", "GB", "LR", "MM"]; // the regions that measure roads in miles
const region = new Intl.Locale(navigator.language || "en").maximize().region;
const plurals = new Intl.PluralRules(config.lang);
const agos = new Intl.RelativeTimeFormat(config.lang, { numeric: "auto" });
const numbers = new Intl.NumberFormat(config.lang, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(config.lang, { hour: "numeric", minute: "2-digit" });
const dated = new Intl.DateTimeFormat(config.lang, { weekday: "short", hour: "numeric", minute: "2-digit" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]]; // in seconds, the largest first

export function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function count(table, n) {
  return fill(table[plurals.select(n)] ?? table.other, { n: numbers.format(n) });
}

export function number(value, digits = 0) {
  const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return digits > 0 ? new Intl.NumberFormat(config.lang, exactly).format(value) : numbers.format(value);
}

export const inMiles = () => MILES.includes(region);

export function unit(value, name, digits = 0) {
  const options = { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: digits };
  return new Intl.NumberFormat(config.lang, options).format(value);
}

export function distance(metres) {
  if (inMiles()) {
    const miles = metres / 1609.344;
    return miles < 0.1 ? unit(Math.round(metres / 0.3048 / 50) * 50, "foot") : unit(miles, "mile", miles < 10 ? 1 : 0);
  }
  if (metres < 1000) return unit(Math.round(metres / 10) * 10, "meter");
  return unit(metres / 1000, "kilometer", metres < 10000 ? 1 : 0);
}

// A span until now, such as "12 min"; nobody needs the seconds.
export function age(instant, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(instant)) / 1000);
  const found = UNITS.find(([, each]) => seconds >= each);
  return found ? unit(Math.floor(seconds / found[1]), found[0]) : `<\u00a0${unit(1, "minute")}`;
}

export function ago(instant, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(instant)) / 1000);
  const found = UNITS.find(([, each]) => seconds >= each);
  return found ? agos.format(-Math.floor(seconds / found[1]), found[0]) : agos.format(0, "second");
}

export function time(instant) {
  const soon = Math.abs(new Date(instant) - Date.now()) < 12 * 3600 * 1000;
  return (soon ? clock : dated).format(new Date(instant));
}

export function plug(standard) {
  if (standard.startsWith("DOMESTIC")) return words.place.household;
  return config.plugs[standard] ?? standard.replaceAll("_", " ");
}

// An element; what is text is never read as HTML.
export function element(name, options = {}, ...children) {
  const { class: classes, data = {}, ...rest } = options;
  const made = document.createElement(name);
  if (classes) made.className = classes;
  Object.assign(made.dataset, data);
  for (const [key, value] of Object.entries(rest)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null && child !== ""));
  return made;
}
