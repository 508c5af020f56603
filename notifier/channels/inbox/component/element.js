const PAGE = 20; // messages in one request

export class NotifierInbox extends HTMLElement {
  static observedAttributes = ["token", "src", "lang"];

  #server = new Asking(this);
  #items = [];
  #next = null;
  #view = "current";
  #counts = { unread: 0, unseen: 0, more: false };
  #locale = null; // the person's, as the server tells it
  #last = null; // the id of the last event heard
  #live = null; // ends what listens
  #loading = null; // ends what is being loaded
  #timer = 0;
  #failed = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    this.#build(root);
    for (const name of ["token", "getToken"].filter((each) => Object.hasOwn(this, each))) {
      const value = this[name]; // properties that were set before the element was defined
      delete this[name];
      this[name] = value;
    }
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.open) {
        event.stopPropagation();
        this.hide();
      }
    });
  }

  /** The person's token, as `POST /v1/recipients/{id}/inbox-token` makes it. */
  get token() {
    return this.#server.token;
  }

  set token(value) {
    this.#server.token = value || null;
    if (this.#server.token === null) this.#forget();
    if (this.isConnected) this.#start();
  }

  /** A function that returns a token or a promise of one; it is called where there is no token or the token has expired. */
  get getToken() {
    return this.#server.getToken;
  }

  set getToken(value) {
    this.#server.getToken = value;
    if (this.isConnected && this.#server.token === null) this.#start();
  }

  /** How many messages are unread, 99 at most. */
  get unread() {
    return this.#counts.unread;
  }

  get open() {
    return !this.panel.hidden;
  }

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#onVisible);
    document.addEventListener("pointerdown", this.#onPointer);
    this.#speak();
    this.#start();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#onVisible);
    document.removeEventListener("pointerdown", this.#onPointer);
    this.#stop();
  }

  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (name === "token") this.#server.token = now || null;
    if (name === "token" && !now) this.#forget();
    if (!this.isConnected) return;
    if (name === "lang") this.#speak();
    else this.#start();
  }

  /** Open the list; the focus goes into it, but where `focus` is false, for a page that opens it by itself. */
  async show({ focus = true } = {}) {
    if (this.open) return;
    this.panel.hidden = false;
    this.bell.setAttribute("aria-expanded", "true");
    if (focus) this.panel.focus();
    await this.refresh();
    await this.#tellSeen();
  }

  /** Close the list; the focus goes back to the bell. */
  hide() {
    if (!this.open) return;
    const inside = this.shadowRoot.activeElement !== null;
    this.panel.hidden = true;
    this.bell.setAttribute("aria-expanded", "false");
    if (inside) this.bell.focus();
  }

  /** Load the list anew, as much of it as is shown. */
  async refresh() {
    const wanted = Math.min(Math.max(this.#items.length, PAGE), 100);
    await this.#load(`limit=${wanted}`, false);
  }

  // The element's parts

  #build(root) {
    this.count = make("span", { className: "count", part: "count", "aria-hidden": "true", hidden: true });
    this.bell = make("button", { type: "button", className: "bell", part: "bell", "aria-haspopup": "dialog", "aria-expanded": "false" },
      icon("bell"), this.count);
    this.bell.addEventListener("click", () => (this.open ? this.hide() : this.show()));
    this.heading = make("h2", { id: "heading" });
    this.closer = make("button", { type: "button", className: "close", part: "close" }, icon("close"));
    this.closer.addEventListener("click", () => this.hide());
    this.views = ["current", "archived"].map((view) => {
      const button = make("button", { type: "button" });
      button.addEventListener("click", () => this.#turn(view));
      return button;
    });
    this.reader = make("button", { type: "button", part: "read-all" });
    this.reader.addEventListener("click", () => this.#readAll());
    this.list = make("ul", { part: "list" });
    this.note = make("p", { className: "none", part: "empty" });
    this.retry = make("button", { type: "button", className: "again", hidden: true });
    this.retry.addEventListener("click", () => this.#start());
    this.onward = make("button", { type: "button", className: "more", part: "more", hidden: true });
    this.onward.addEventListener("click", () => this.#more());
    const bar = make("div", { className: "bar" }, make("span", {}, ...this.views), this.reader);
    this.panel = make("div", { className: "panel", part: "panel", role: "dialog", "aria-labelledby": "heading", tabIndex: -1, hidden: true },
      make("div", { className: "head", part: "header" }, this.heading, this.closer, bar),
      make("div", { className: "scroll" }, this.list, this.note, this.retry, this.onward));
    this.status = make("div", { className: "heard", role: "status" });
    root.append(this.bell, this.panel, this.status);
  }

  get #language() {
    const asked = this.lang || this.#locale || this.closest("[lang]")?.lang || "en";
    return asked in WORDS ? asked : asked.split("-")[0] in WORDS ? asked.split("-")[0] : "en";
  }

  #speak() {
    const language = this.#language, words = WORDS[language];
    this.panel.lang = this.bell.lang = this.status.lang = language;
    this.heading.textContent = words.inbox;
    this.closer.setAttribute("aria-label", words.close);
    this.reader.textContent = words.readAll;
    this.views[0].textContent = words.inbox;
    this.views[1].textContent = words.archive;
    this.retry.textContent = words.again;
    this.onward.textContent = words.more;
    this.#draw();
  }

  #draw() {
    const language = this.#language, words = WORDS[language], { unread, more } = this.#counts;
    const number = more ? `${unread}+` : String(unread);
    this.count.hidden = unread === 0;
    this.count.textContent = number;
    const form = unread === 0 ? "none" : new Intl.PluralRules(language).select(unread);
    this.bell.setAttribute("aria-label", fill(words.bell[form] ?? words.bell.other, number));
    this.views.forEach((button, place) => button.setAttribute("aria-pressed", String((place === 1) === (this.#view === "archived"))));
    this.reader.hidden = this.#view === "archived" || unread === 0;
    this.#drawList(words, language);
    this.note.hidden = this.#items.length > 0;
    this.note.textContent = this.#failed ? words.failed : this.#view === "archived" ? words.emptyArchive : words.empty;
    this.retry.hidden = !this.#failed;
    this.onward.hidden = this.#next === null;
  }

  #drawList(words, language) {
    const active = this.shadowRoot.activeElement, kept = active?.closest?.("li")?.dataset.id, was = active?.className;
    const place = [...this.list.children].findIndex((each) => each.dataset.id === kept);
    this.list.replaceChildren(...this.#items.map((item) => this.#row(item, words, language)));
    if (kept === undefined) return;
    // The focus stays with its message; if that has left the list, the focus goes to the message in its place.
    const rows = [...this.list.children];
    const row = rows.find((each) => each.dataset.id === kept) ?? rows[Math.min(place, rows.length - 1)];
    (row?.querySelector(`.${was}`) ?? row?.querySelector(".open") ?? this.panel).focus();
  }

  #row(item, words, language) {
    const row = drawMessage(item, words, this.#locale ?? language, this.#view === "archived");
    row.querySelector(".open").addEventListener("click", (event) => this.#openItem(item, event));
    row.querySelector(".put")?.addEventListener("click", () => this.#archive(item));
    return row;
  }

  // Actions of people

  #openItem(item, event) {
    const asked = new CustomEvent("notifier-open", { bubbles: true, composed: true, cancelable: true, detail: { ...item } });
    if (!this.dispatchEvent(asked)) event.preventDefault();
    if (item.read_at === null) {
      item.read_at = new Date().toISOString();
      this.#recount({ unread: Math.max(this.#counts.unread - 1, 0) });
      this.#tell(`/${item.id}/read`);
    }
  }

  #archive(item) {
    this.#items = this.#items.filter((each) => each !== item);
    this.#recount({ unread: Math.max(this.#counts.unread - (item.read_at === null ? 1 : 0), 0) });
    this.#tell(`/${item.id}/archived`);
  }

  #readAll() {
    if (this.#items.length === 0) return;
    const now = new Date().toISOString();
    this.#items.forEach((item) => (item.read_at ??= now));
    this.#recount({ unread: 0, more: false });
    this.panel.focus(); // the button is gone
    this.#tell("/read", { up_to: this.#items[0].id });
  }

  async #tellSeen() {
    if (this.#view === "current" && this.#items.some((item) => item.seen_at === null)) {
      await this.#tell("/seen", { up_to: this.#items[0].id });
    }
  }

  #turn(view) {
    if (this.#view === view) return;
    this.#view = view;
    this.#items = [];
    this.#next = null;
    this.refresh();
  }

  async #more() {
    const first = this.#items.length;
    await this.#load(`limit=${PAGE}&cursor=${encodeURIComponent(this.#next)}`, true);
    this.list.children[first]?.querySelector(".open").focus();
  }

  /** The person has signed out: nothing of theirs stays on the page for the next one. */
  #forget() {
    this.#stop();
    this.#items = [];
    this.#next = this.#last = null;
    this.status.textContent = "";
    this.#recount({ unread: 0, unseen: 0, more: false });
  }

  #recount(changed) {
    this.#counts = { ...this.#counts, ...changed };
    this.#draw();
    this.dispatchEvent(new CustomEvent("notifier-count", { bubbles: true, composed: true, detail: { ...this.#counts } }));
  }

  // Requests to the server

  async #load(query, onward) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    try {
      const answer = await this.#server.ask(`?view=${this.#view}&${query}`, { signal: loading.signal });
      const page = await answer.json();
      if (loading.signal.aborted) return;
      this.#items = onward ? [...this.#items, ...page.items] : page.items;
      this.#next = page.next;
      this.#failed = false;
      if (this.#locale !== page.locale) {
        this.#locale = page.locale;
        this.#speak();
      } else this.#draw();
    } catch {
      if (loading.signal.aborted) return;
      this.#failed = true;
      this.#draw();
    }
  }

  async #tell(path, body) {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    try {
      await this.#server.ask(path, { method: "POST", keepalive: true, ...sent }); // the page may be left meanwhile
    } catch {
      if (this.isConnected) this.refresh(); // the list stays as it is
    }
  }

  // Live updates: a stream of the inbox's state, or polling where no stream is to be had

  #onVisible = () => (document.hidden ? this.#stop() : this.#start());
  #onPointer = (event) => {
    if (this.open && !event.composedPath().includes(this)) this.hide();
  };

  #start() {
    this.#stop();
    if (!document.hidden) {
      const live = (this.#live = new AbortController());
      this.refresh();
      this.#follow(live.signal);
    }
  }

  #stop() {
    this.#live?.abort();
    this.#loading?.abort();
    clearTimeout(this.#timer);
  }

  async #follow(signal) {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const heard = await this.#listen(signal);
        failures = heard ? 0 : failures + 1;
        if (!heard) await this.#look(signal);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (!(error instanceof Refused && error.status === 401)) await this.#look(signal).catch(() => {});
      }
      const pause = failures > 2 ? POLL : Math.min(BACK * 2 ** failures, BACK_MOST);
      await new Promise((resolve) => {
        this.#timer = setTimeout(resolve, pause * (0.75 + Math.random() / 2)); // spread, so that clients don't poll at the same moment
        signal.addEventListener("abort", resolve, { once: true });
      });
    }
  }

  /** Listen until the stream ends; returns whether there was one. */
  async #listen(signal) {
    const dead = new AbortController();
    const both = AbortSignal.any([signal, dead.signal]);
    const headers = { Accept: "text/event-stream", ...(this.#last && { "Last-Event-ID": this.#last }) };
    const answer = await this.#server.ask("/stream", { headers, signal: both }, 0);
    if (answer.status !== 200 || !answer.body) return false;
    await readEvents(answer.body, (event) => this.#hear(event), () => dead.abort());
    return true;
  }

  #hear(fields) {
    this.#last = fields.id;
    this.#stand(JSON.parse(fields.data));
  }

  async #look(signal) {
    this.#stand(await (await this.#server.ask("/unread", { signal })).json());
  }

  #stand({ unread, unseen, more }) {
    const came = unseen - this.#counts.unseen, language = this.#language;
    if (came > 0) {
      const words = WORDS[language].came;
      this.status.textContent = fill(words[new Intl.PluralRules(language).select(came)] ?? words.other, String(came));
    }
    this.#recount({ unread, unseen, more });
    if (this.open) this.refresh().then(() => this.#tellSeen());
    else this.#load(`limit=${PAGE}`, false);
  }
}

if (!customElements.get("notifier-inbox")) customElements.define("notifier-inbox", NotifierInbox);
