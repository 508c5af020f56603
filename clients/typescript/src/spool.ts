/**
 * A file that keeps events until the service has answered for each of them, across the end of the process.
 *
 * Lines of JSON: an object is an event, an array is the sources and ids of events that the service has answered for. A line
 * that was torn by a crash is passed over. What is written survives the end of the process at once, and that of the machine
 * once the system has written it to the disk.
 */
import * as fs from "node:fs";

import { ServiceUnavailable } from "./answers.js";

/** An event's source and id. */
export type Key = readonly [source: string, id: string];

/** Events may hold personal data: nobody else reads them. */
const PRIVATE = 0o600;

export class Spool {
  /** The events that the service hasn't answered for. */
  readonly open = new Map<string, { key: Key; json: string; bytes: number }>();
  #file = -1;
  #size = 0;
  #held = 0;

  /** Opens a spool; throws where another process has it. */
  constructor(
    private readonly path: string,
    private readonly limit: number,
  ) {
    lock(`${path}.lock`);
    try {
      this.#read();
      this.#rewrite();
    } catch (error) {
      fs.rmSync(`${path}.lock`);
      throw error;
    }
  }

  /** Keeps events; throws ServiceUnavailable, and keeps none, where there is no room for them. */
  add(events: readonly { key: Key; json: string; bytes: number }[]): void {
    const size = events.reduce((sum, each) => sum + each.bytes + 1, 0);
    if (this.#held + this.open.size + size > this.limit) {
      throw new ServiceUnavailable(`the spool ${this.path} is full: it has ${this.#held} of ${this.limit} bytes`);
    }
    try {
      if (this.#size + size > this.limit) this.#rewrite();
      this.#append(events.map((each) => `${each.json}\n`).join(""));
    } catch (error) {
      throw new ServiceUnavailable(`the spool ${this.path} can't be written: ${(error as Error).message}`);
    }
    for (const each of events) this.#put(each);
  }

  /** Forgets events that the service has answered for. */
  settle(keys: readonly Key[]): void {
    const settled = keys.filter((key) => this.#drop(key));
    if (settled.length === 0) return;
    try {
      if (this.open.size === 0) {
        fs.ftruncateSync(this.#file, 0);
        this.#size = 0;
      } else {
        this.#append(`${JSON.stringify(settled)}\n`);
      }
    } catch {
      // they are sent once more at the next start, which is harmless
    }
  }

  /** Leaves the file to another process. */
  close(): void {
    fs.closeSync(this.#file);
    fs.rmSync(`${this.path}.lock`, { force: true });
  }

  #put(event: { key: Key; json: string; bytes: number }): void {
    this.#drop(event.key);
    this.open.set(JSON.stringify(event.key), event);
    this.#held += event.bytes;
  }

  #drop(key: Key): boolean {
    const named = JSON.stringify(key);
    this.#held -= this.open.get(named)?.bytes ?? 0;
    return this.open.delete(named);
  }

  #read(): void {
    if (!fs.existsSync(this.path)) return;
    for (const json of fs.readFileSync(this.path, "utf8").split("\n")) {
      let told: any;
      try {
        told = JSON.parse(json);
      } catch {
        continue; // torn
      }
      if (Array.isArray(told)) told.forEach((key) => this.#drop(key));
      else if (told?.source && told.id) this.#put({ key: [told.source, told.id], json, bytes: Buffer.byteLength(json) });
    }
  }

  /** Writes the file anew with what is open; whoever dies meanwhile leaves the one before. */
  #rewrite(): void {
    const before = this.#file;
    this.#file = fs.openSync(`${this.path}.new`, "w", PRIVATE);
    this.#size = 0;
    this.#append([...this.open.values()].map((each) => `${each.json}\n`).join(""));
    fs.renameSync(`${this.path}.new`, this.path);
    if (before >= 0) fs.closeSync(before);
  }

  #append(lines: string): void {
    const bytes = Buffer.from(lines);
    let written = 0;
    try {
      while (written < bytes.length) {
        written += fs.writeSync(this.#file, bytes, written, bytes.length - written, this.#size + written);
      }
      this.#size += written;
    } catch (error) {
      fs.ftruncateSync(this.#file, this.#size); // half a line would spoil the next one
      throw error;
    }
  }
}

/** Takes a lock file with this process's number; Node.js has no other locks. */
function lock(path: string): void {
  for (;;) {
    try {
      fs.writeFileSync(path, String(process.pid), { flag: "wx", mode: PRIVATE });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (lives(Number(fs.readFileSync(path, "utf8")))) {
      throw new Error(`another producer has the spool that ${path} locks: give each a file of its own`);
    }
    fs.rmSync(path, { force: true }); // its process died
  }
}

function lives(pid: number): boolean {
  if (!pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
