// On a phone the panel is a sheet below the map: low, half or high. A button does it, and so does a finger.

import { words } from "./words.js";

const HEIGHTS = ["low", "half", "high"];
const DRAG = 32; // pixels that a finger moves before it is meant

export class Sheet {
  constructor(changed) {
    this.changed = changed;
    this.node = document.getElementById("panel");
    this.handle = document.getElementById("handle");
    this.label = this.handle.firstElementChild;
    this.handle.addEventListener("click", () => this.#dragged || this.to(this.height === "high" ? "half" : "high"));
    this.handle.addEventListener("pointerdown", (event) => this.#down(event));
    this.to("half");
  }

  #dragged = false;

  get height() {
    return document.documentElement.dataset.sheet;
  }

  to(height) {
    if (this.height === height) return;
    document.documentElement.dataset.sheet = height;
    const high = height === "high";
    this.handle.setAttribute("aria-expanded", String(high));
    this.label.textContent = high ? words.less : words.more;
    this.changed();
  }

  atLeast(height) {
    if (HEIGHTS.indexOf(this.height) < HEIGHTS.indexOf(height)) this.to(height);
  }

  #down(event) {
    const from = event.clientY;
    let step = 0;
    this.#dragged = false;
    const move = (moved) => {
      const by = from - moved.clientY;
      step = Math.abs(by) < DRAG ? 0 : Math.sign(by) * (Math.abs(by) > innerHeight / 3 ? 2 : 1);
    };
    const up = () => {
      removeEventListener("pointermove", move);
      if (step === 0) return;
      this.#dragged = true;
      setTimeout(() => (this.#dragged = false));
      const to = HEIGHTS.indexOf(this.height) + step;
      this.to(HEIGHTS[Math.max(0, Math.min(HEIGHTS.length - 1, to))]);
    };
    this.handle.setPointerCapture(event.pointerId);
    addEventListener("pointermove", move);
    addEventListener("pointerup", up, { once: true });
    addEventListener("pointercancel", up, { once: true });
  }
}
