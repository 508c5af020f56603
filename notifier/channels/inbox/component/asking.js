/** Asks the inbox's server for what an element shows, with a token for which whoever made the page is asked. */
class Asking {
  token = null;
  getToken = null;
  #element;
  #asking = null; // the promise of a token that is being requested

  constructor(element) {
    this.#element = element;
  }

  /** The answer to a request, which is repeated once with a new token if the token has expired. Throws. */
  async ask(path, options = {}, patience = PATIENCE) {
    for (let tries = 0; ; tries++) {
      const token = this.token ?? (await this.#newToken());
      const signal = AbortSignal.any([options.signal, patience && AbortSignal.timeout(patience)].filter(Boolean));
      const headers = { ...options.headers, Authorization: `Bearer ${token}` };
      const base = (this.#element.getAttribute("src") ?? "").replace(/\/+$/, "");
      const answer = await fetch(`${base}/v1/inbox${path}`, { ...options, headers, signal, credentials: "omit", cache: "no-store" });
      if (answer.ok) return answer;
      if (answer.status !== 401 || tries > 0) throw new Refused(answer.status);
      if (this.token === token) this.token = null;
    }
  }

  /** A token; concurrent callers share one request. Rejected where no token is given. */
  #newToken() {
    this.#asking ??= this.#askForToken().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #askForToken() {
    this.#element.dispatchEvent(new CustomEvent("notifier-token", { bubbles: true, composed: true }));
    this.token ??= (await this.getToken?.()) || null;
    if (this.token === null) throw new Refused(401);
    return this.token;
  }
}

class Refused extends Error {
  constructor(status) {
    super(`the inbox answered ${status}`);
    this.status = status;
  }
}
