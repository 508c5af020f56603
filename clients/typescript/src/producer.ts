import { randomUUID } from "node:crypto";

import { InvalidEvent, Problem, ProducerClosed, type Result, results, ServiceUnavailable } from "./answers.js";
import type { EventData } from "./events.js";
import { type Key, Spool } from "./spool.js";

const VERSION = "1.0.0";

/** The most events, and the most bytes, in one request that the service accepts. */
const BATCH = 1000;
const MOST_BYTES = 8 * 1024 * 1024;

/** Milliseconds, doubled each time, with full jitter. */
const FIRST_PAUSE = 250;

/** Milliseconds, where the service asks for none. */
const MOST_PAUSE = 15_000;

/** The status of a body that is too large: half of the batch may fit. */
const TOO_LARGE = 413;

export interface Options {
  /** The service's address, such as `https://notifier.example.com`. */
  url: string;
  /** An API key with the scope `events:write`. */
  key: string;
  /** Who reports; with an event's id it says which event it is. */
  source: string;
  /** Milliseconds that a call may take in all, tries and pauses included; a minute by default. */
  timeout?: number;
  /** Milliseconds that one request may take, after which it is made again; 30,000 by default. */
  requestTimeout?: number;
  /**
   * A file that keeps events until the service has answered for each: those of a process that ended before are sent when the
   * next one opens it, and a call that gives up leaves its events to be sent later.
   */
  spool?: string;
  /** Bytes that the spool may have; 64 MiB by default. A call beyond them fails. */
  spoolBytes?: number;
}

/** An event to report. Give an id wherever your own records have one: it keeps a repeat from being told twice. */
export interface Event<T extends string = string> {
  type: T;
  data: T extends keyof EventData ? EventData[T] : object;
  id?: string;
  subject?: string;
  time?: Date;
}

interface Item {
  key: Key;
  json: string;
  bytes: number;
  /** When its caller gives up, by `performance.now()`; 0 for what has none. */
  until: number;
  ended: (outcome: Result | Error) => void;
}

/**
 * Reports events over HTTP. Concurrent calls travel together: at once where none is under way, and else with the next request.
 * What the service could not take for the moment is sent again, which an event's source and id make harmless.
 *
 *     await using producer = new Producer({ url, key, source: "csms/berlin" });
 *     await producer.send({ type: "charging.complete", data, id: "a-17" });
 */
export class Producer {
  readonly #url: string;
  readonly #key: string;
  readonly #source: string;
  readonly #timeout: number;
  readonly #requestTimeout: number;
  readonly #spool: Spool | undefined;
  readonly #unanswered = new Set<Item>();
  readonly #stop = new AbortController();
  #waiting: Item[] = [];
  #sending = false;
  #open = true;
  #idle: (() => void) | undefined;

  /** Opens a producer; throws where the spool can't be opened, or another producer has it. */
  constructor(options: Options) {
    this.#url = `${options.url.replace(/\/+$/, "")}/v1/events`;
    this.#key = options.key;
    this.#source = options.source;
    this.#timeout = options.timeout ?? 60_000;
    this.#requestTimeout = options.requestTimeout ?? 30_000;
    if (options.spool !== undefined) {
      this.#spool = new Spool(options.spool, options.spoolBytes ?? 64 * 1024 * 1024);
      this.#add([...this.#spool.open.values()].map((each) => ({ ...each, until: 0, ended: () => {} })));
    }
  }

  /**
   * Reports one event; resolves to the id that it has in the service. Rejects with Problem where it is refused,
   * ServiceUnavailable where it was not taken in time, InvalidEvent where it can't be written as JSON, ProducerClosed.
   */
  async send<T extends string>(event: Event<T>): Promise<string> {
    const [result] = await this.sendMany([event]);
    if (result !== undefined && "accepted" in result) return result.accepted;
    throw result?.refused;
  }

  /** Reports several events; resolves to what became of each, in order. Rejects as `send` does. */
  async sendMany<T extends string>(events: readonly Event<T>[]): Promise<Result[]> {
    if (!this.#open) throw new ProducerClosed("the producer is closed");
    const until = performance.now() + this.#timeout;
    const envelopes = events.map((event) => this.#envelope(event));
    this.#spool?.add(envelopes);
    const items: Item[] = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `${this.#url} did not answer within ${this.#timeout} ms`;
      timer = setTimeout(() => reject(new ServiceUnavailable(message)), this.#timeout);
    });
    const outcomes = envelopes.map(
      (each) =>
        new Promise<Result>((resolve, reject) => {
          items.push({ ...each, until, ended: (told) => (told instanceof Error ? reject(told) : resolve(told)) });
        }),
    );
    this.#add(items);
    try {
      return await Promise.race([Promise.all(outcomes), late]);
    } finally {
      clearTimeout(timer);
      for (const each of outcomes) each.catch(() => {}); // who gave up doesn't hear of it any more
      if (this.#spool === undefined) this.#answered(items);
    }
  }

  /**
   * Takes no more calls and waits for those under way, no longer than `timeout` milliseconds or, by default, those of a call;
   * the others reject with ServiceUnavailable. Resolves to the ids of events that are not known to be taken; what the spool
   * holds is sent at the next start.
   */
  async close(timeout = this.#timeout): Promise<string[]> {
    if (!this.#open) return [];
    this.#open = false;
    if (this.#unanswered.size > 0) {
      const timer = setTimeout(() => this.#idle?.(), timeout);
      await new Promise<void>((resolve) => (this.#idle = resolve));
      clearTimeout(timer);
    }
    const left = this.#spool !== undefined ? this.#spool.open.values() : this.#unanswered;
    const unsent = Array.from(left, (each) => each.key[1]);
    this.#stop.abort();
    const closed = new ServiceUnavailable("the producer was closed before the service had answered");
    for (const each of this.#unanswered) each.ended(closed);
    this.#spool?.close();
    return unsent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The address and the source; never the key. */
  toString(): string {
    return `Producer(${this.#url}, ${this.#source})`;
  }

  #envelope(event: Event<any>): { key: Key; json: string; bytes: number } {
    const id = event.id ?? randomUUID();
    let json: string;
    try {
      json = JSON.stringify({ specversion: "1.0", source: this.#source, ...event, id });
    } catch (error) {
      throw new InvalidEvent(`the event ${id} can't be written as JSON: ${(error as Error).message}`);
    }
    // JSON.stringify escapes half a surrogate pair; a backslash that is text stands doubled before its u.
    if (/(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/.test(json)) {
      throw new InvalidEvent(`the event ${id} can't be written as JSON: it has half a surrogate pair`);
    }
    return { key: [this.#source, id], json, bytes: Buffer.byteLength(json) };
  }

  #add(items: readonly Item[]): void {
    for (const each of items) {
      this.#waiting.push(each);
      this.#unanswered.add(each);
    }
    if (!this.#sending && items.length > 0) {
      this.#sending = true;
      void this.#run();
    }
  }

  #answered(items: readonly Item[]): void {
    for (const each of items) this.#unanswered.delete(each);
    if (this.#unanswered.size === 0) this.#idle?.();
  }

  /** Sends what waits, a batch at a time: what comes meanwhile is the next one. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#next();
      const now = performance.now();
      const wanted = this.#spool !== undefined ? batch : batch.filter((each) => each.until > now);
      const outcomes = await this.#post(wanted);
      if (this.#stop.signal.aborted) return;
      this.#settle(wanted, outcomes);
      wanted.forEach((each, index) => each.ended(outcomes[index]!));
      this.#answered(batch);
    }
    this.#sending = false;
  }

  #next(): Item[] {
    let count = 0;
    for (let size = 2; count < Math.min(this.#waiting.length, BATCH); count++) {
      size += this.#waiting[count]!.bytes + 1;
      if (size > MOST_BYTES && count > 0) break;
    }
    return this.#waiting.splice(0, count);
  }

  #settle(batch: readonly Item[], outcomes: readonly (Result | Error)[]): void {
    if (this.#spool === undefined) return;
    this.#spool.settle(batch.filter((_, index) => !(outcomes[index] instanceof Error)).map((each) => each.key));
    const now = performance.now();
    batch.forEach(({ key: [source, id], until }, index) => {
      const outcome = outcomes[index]!;
      if (until > now) return;
      if (outcome instanceof Problem) {
        console.warn(`the event ${id} of ${source} stays in the spool: problem ${outcome.code}`);
      } else if ("refused" in outcome) {
        console.warn(`the event ${id} of ${source} was refused: problem ${outcome.refused.code}`);
      }
    });
  }

  async #post(batch: readonly Item[]): Promise<(Result | Error)[]> {
    if (batch.length === 0) return [];
    try {
      return await this.#untilTaken(batch);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== TOO_LARGE) return batch.map(() => error as Error);
      if (batch.length === 1) return [{ refused: error }];
    }
    const half = Math.floor(batch.length / 2);
    return [...(await this.#post(batch.slice(0, half))), ...(await this.#post(batch.slice(half)))];
  }

  async #untilTaken(batch: readonly Item[]): Promise<Result[]> {
    const body = `[${batch.map((each) => each.json).join(",")}]`;
    const until = this.#spool !== undefined ? Infinity : Math.max(...batch.map((each) => each.until));
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, MOST_PAUSE)) {
      let asked = 0;
      try {
        return await this.#once(body, batch.length, Math.min(this.#requestTimeout, until - performance.now()));
      } catch (error) {
        if (error instanceof Problem) throw error;
        if (error instanceof ServiceUnavailable) asked = error.retryAfter;
      }
      this.#stop.signal.throwIfAborted();
      const left = until - performance.now();
      if (left < Math.max(FIRST_PAUSE, asked)) {
        throw new ServiceUnavailable(`${this.#url} accepted nothing in time`, asked);
      }
      await this.#sleep(Math.max(Math.min(Math.random() * pause, left - FIRST_PAUSE), asked));
    }
  }

  async #once(body: string, events: number, milliseconds: number): Promise<Result[]> {
    const request = new AbortController();
    const abort = (): void => request.abort();
    const timer = setTimeout(abort, Math.max(milliseconds, 0));
    this.#stop.signal.addEventListener("abort", abort);
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        body,
        headers: {
          authorization: `Bearer ${this.#key}`,
          "content-type": "application/cloudevents-batch+json",
          "user-agent": `notifier-typescript/${VERSION}`,
        },
        redirect: "manual", // following it would turn the POST into a GET
        signal: request.signal,
      });
      return results(this.#url, response.status, response.headers, await response.text(), events);
    } finally {
      clearTimeout(timer);
      this.#stop.signal.removeEventListener("abort", abort);
    }
  }

  /** Waits; closing ends it. */
  async #sleep(milliseconds: number): Promise<void> {
    const stop = this.#stop.signal;
    await new Promise<void>((resolve, reject) => {
      const ended = (): void => {
        clearTimeout(timer);
        reject(stop.reason);
      };
      const timer = setTimeout(() => {
        stop.removeEventListener("abort", ended);
        resolve();
      }, milliseconds);
      stop.addEventListener("abort", ended);
    });
  }
}
