// The signs: a form for each condition, so that none is told by its colour alone, and the number that is free in it.

import { CONDITIONS, all } from "./places.js";
import { number } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const FORMS = {
  free: ["path", { d: "M20 37.5 12.8 30A14.2 14.2 0 1 1 27.2 30z" }],
  busy: ["rect", { x: 9, y: 7, width: 22, height: 22, rx: 6 }],
  reserved: ["path", { d: "M20 4.5 33.5 18 20 31.5 6.5 18z" }],
  out_of_order: ["path", { d: "M15.2 6.5h9.6l6.7 6.7v9.6l-6.7 6.7h-9.6l-6.7-6.7v-9.6z" }],
  unknown: ["circle", { cx: 20, cy: 18, r: 11.5 }],
};
const SIGNS = { out_of_order: "×", unknown: "?" };
const RADIUS = 17; // of a group's ring, of which the picture has 20

function draw(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const text = (y, value, extra = "") => draw("text", { x: 20, y, class: extra }, value);

export function pin(condition, free, fast = false) {
  const [form, attributes] = FORMS[condition];
  const picture = draw("svg", { viewBox: "0 0 40 40", class: `pin ${condition}`, "aria-hidden": "true" });
  picture.append(draw(form, { ...attributes, class: "form" }));
  const sign = SIGNS[condition] ?? number(free);
  picture.append(text(23.2, sign, sign.length > 2 ? "long" : ""));
  if (fast) picture.append(draw("path", { d: "M33.5 1.5 27 10h4l-1.5 6L36 7.5h-4z", class: "bolt" }));
  return picture;
}

export function ring(counts, free = counts.free) {
  const picture = draw("svg", { viewBox: "0 0 40 40", class: `ring ${free > 0 ? "some" : "none"}`, "aria-hidden": "true" });
  picture.append(draw("circle", { cx: 20, cy: 20, r: 19.5, class: "plate" }));
  const total = all(counts) || 1;
  let from = 0;
  for (const name of CONDITIONS) {
    const part = (counts[name] / total) * 100;
    if (part === 0) continue;
    const dash = `${Math.max(part - (part < 100 ? 1.5 : 0), 0.5)} 100`;
    picture.append(
      draw("circle", {
        cx: 20, cy: 20, r: RADIUS, class: `part ${name}`, pathLength: 100, "stroke-dasharray": dash,
        "stroke-dashoffset": -from, transform: "rotate(-90 20 20)",
      }),
    );
    from += part;
  }
  const sign = number(free);
  picture.append(text(24.5, sign, sign.length > 3 ? "long" : ""));
  return picture;
}

// A bar with a piece for each port of a place.
export function bar(counts) {
  const wide = 100 / (all(counts) || 1);
  const picture = draw("svg", { viewBox: "0 0 99 4", class: "bar", preserveAspectRatio: "none", "aria-hidden": "true" });
  let at = 0;
  for (const name of CONDITIONS) {
    for (let each = 0; each < counts[name]; each += 1, at += wide) {
      picture.append(draw("rect", { x: at, y: 0, width: Math.max(wide - 1, wide / 2), height: 4, class: `piece ${name}` }));
    }
  }
  return picture;
}
