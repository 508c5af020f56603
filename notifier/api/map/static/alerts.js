// "Tell me when it is free": for who opened the map by a link of their own; all others are told how to get one.

import { config, element, fill, number, plug, time, words } from "./words.js";

const JSON_BODY = { "Content-Type": "application/json" };

export class Alerts {
  // `changed` draws the place again; `on` has say(text).
  constructor(on, changed) {
    this.on = on;
    this.changed = changed;
    this.asked = null;
    this.most = 0;
    this.wrong = "";
    this.explained = false;
    this.base = `${location.pathname}/alerts`; // a personal page's address ends with its token
  }

  async read() {
    this.wrong = "";
    this.explained = false;
    if (!config.personal) return;
    try {
      const answer = await fetch(this.base);
      if (!answer.ok) throw new Error(String(answer.status));
      const { alerts, most } = await answer.json();
      this.asked = new Map(alerts.filter((each) => each.state !== "over").map((each) => [each.station, each]));
      this.most = most;
    } catch {
      this.asked ??= new Map();
    }
    this.changed();
  }

  draw(station, filters, free) {
    const asked = this.asked?.get(station.id);
    if (asked) return this.#waiting(station, asked);
    if (free > 0) return "";
    const standard = filters.connector.length === 1 ? filters.connector[0] : null;
    const text = standard ? fill(words.alert.ask_plug, { plug: plug(standard) }) : words.alert.ask;
    const parts = [this.#button("ask", text, "quiet", () => this.#ask(station, standard))];
    if (this.explained) {
      parts.push(element("p", { class: "note", role: "status" }, `${fill(words.alert.how, { brand: config.brand })} `, element("a", { href: config.app }, words.alert.app)));
    }
    return this.#box(...parts);
  }

  #waiting(station, asked) {
    const text = fill(words.alert[asked.state === "offered" ? "offered" : "waiting"], { time: time(asked.until) });
    return this.#box(
      element("p", { class: `note ${asked.state}` }, text),
      this.#button("stop", words.alert.stop, "quiet", () => this.#stop(station)),
    );
  }

  async #ask(station, standard) {
    if (!config.personal) {
      this.explained = true;
      return this.changed();
    }
    if (this.asked.size >= this.most) return this.#fail(fill(words.alert.most, { n: number(this.most) }));
    const body = standard ? { headers: JSON_BODY, body: JSON.stringify({ connector: standard }) } : {};
    await this.#send("PUT", station, body, words.alert.on);
  }

  #stop(station) {
    return this.#send("DELETE", station, {}, words.alert.off);
  }

  async #send(method, station, body, said) {
    try {
      const answer = await fetch(`${this.base}/${encodeURIComponent(station.id)}`, { method, ...body });
      if (!answer.ok) throw new Error(String(answer.status));
      await this.read();
      this.on.say(said);
    } catch {
      this.#fail(words.alert.failed);
    }
  }

  #fail(text) {
    this.wrong = text;
    this.changed();
  }

  #box(...parts) {
    const wrong = this.wrong ? element("p", { class: "note bad", role: "alert" }, this.wrong) : "";
    return element("div", { class: "alert" }, ...parts, wrong);
  }

  #button(act, text, classes, click) {
    const button = element("button", { type: "button", class: classes, data: { act } }, text);
    button.addEventListener("click", click);
    return button;
  }
}
