// What is so now, from the server: a stream of changes (server-sent events), and where there is none, a question every
// half minute.

const ASK_EVERY = 30_000; // milliseconds between two questions while there is no stream
const TRY_AGAIN = [2_000, 5_000, 15_000, 60_000]; // milliseconds until the stream is tried again, one after the other
const OUT_OF_SIGHT = 60_000; // milliseconds after which a page that nobody sees hears no more

export class Live {
  // `on` has snapshot(places), change(stations), gone(ids), clusters(clusters), failed() and state("connecting" | "live" | "away").
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.query = null;
    this.tries = 0;
    addEventListener("online", () => this.#again());
    addEventListener("offline", () => this.#away());
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.#again());
  }

  // Follow what the query names; `ask` is the query where there is no stream.
  follow(query, ask) {
    this.query = query;
    this.ask = ask;
    this.tries = 0;
    this.#open();
  }

  #open() {
    this.#close();
    const source = (this.source = new EventSource(`${this.root}v1/stations/live?${this.query}`));
    const current = (act) => (event) => {
      if (source !== this.source) return;
      this.tries = 0;
      this.on.state("live");
      act(JSON.parse(event.data));
    };
    source.addEventListener("snapshot", current((places) => this.on.snapshot(places)));
    source.addEventListener("change", current((change) => this.on.change(change.stations)));
    source.addEventListener("gone", current((change) => this.on.gone(change.stations)));
    source.addEventListener("clusters", current((change) => this.on.clusters(change.clusters)));
    source.onopen = () => source === this.source && this.tries > 0 && this.on.state("live");
    source.onerror = () => source === this.source && this.#failed();
  }

  #failed() {
    this.on.state("away");
    if (this.source.readyState !== EventSource.CLOSED) {
      this.tries ||= 1; // the browser connects again by itself, and names the last that it heard
      return;
    }
    this.#question();
    this.timer = setTimeout(() => this.#open(), TRY_AGAIN[Math.min(this.tries, TRY_AGAIN.length - 1)]);
    this.tries += 1;
  }

  async #question() {
    clearTimeout(this.asking);
    const asked = this.query;
    try {
      const answer = await fetch(`${this.root}v1/stations?${this.ask}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const places = await answer.json();
      if (asked === this.query) this.on.snapshot(places);
    } catch {
      if (asked === this.query) this.on.failed();
    }
    this.asking = setTimeout(() => this.#question(), ASK_EVERY);
  }

  #away() {
    this.#close();
    this.on.state("away");
  }

  #again() {
    if (this.query === null) return;
    this.tries = 0;
    this.#open();
  }

  retry() {
    this.#again();
  }

  #seen() {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.#away(), OUT_OF_SIGHT);
    else if (this.source === null) this.#again();
  }

  #close() {
    clearTimeout(this.timer);
    clearTimeout(this.asking);
    this.source?.close();
    this.source = null;
  }
}
