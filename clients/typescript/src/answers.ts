/** What the service answers to a batch of events, and how calls fail. */

/** What became of one event of several: the id it has in the service, or why it is refused. */
export type Result = { accepted: string } | { refused: Problem };

/** However long the service asks to wait, in milliseconds: what is longer is a mistake. */
const MOST_ASKED = 3_600_000;

/**
 * Thrown where the service refuses an event or a request (RFC 9457), or where something else than the service has answered,
 * such as a proxy: then the code is 0.
 */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly code: number,
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly pointer?: string,
  ) {
    super(`${code} ${title}: ${detail}`);
  }
}

/** Thrown where the service did not take the events in time; the same events may be sent again later. */
export class ServiceUnavailable extends Error {
  override readonly name = "ServiceUnavailable";

  /** `retryAfter` is the milliseconds that the service last asked to wait, or 0. */
  constructor(
    message: string,
    readonly retryAfter = 0,
  ) {
    super(message);
  }
}

/** Thrown where an event can't be written as JSON. */
export class InvalidEvent extends TypeError {
  override readonly name = "InvalidEvent";
}

/** Thrown where a call comes after the producer was closed. */
export class ProducerClosed extends Error {
  override readonly name = "ProducerClosed";
}

/**
 * Returns a result for each event. Throws ServiceUnavailable where the same request may be made again, Problem where the
 * request is refused or something else than the service has answered.
 */
export function results(url: string, status: number, headers: Headers, content: string, events: number): Result[] {
  if (status >= 500 || status === 408 || status === 429) {
    throw new ServiceUnavailable(`${url} answered ${status}`, pauseAsked(headers));
  }
  const told = parsed(content);
  if (status === 202 && Array.isArray(told?.results) && told.results.length === events) {
    return told.results.map((each: any) =>
      each.status === "accepted" ? { accepted: String(each.event) } : { refused: problem(each.problem ?? {}) },
    );
  }
  if (status !== 202 && told !== undefined && headers.get("content-type")?.startsWith("application/problem+json")) {
    throw problem(told);
  }
  throw new Problem(0, status, "Not a response of this service", `${url} answered ${status}`);
}

/**
 * Returns the milliseconds that Retry-After (RFC 9110 §10.2.3) asks to wait. A date is held against the answer's own Date, so
 * that it doesn't matter whose clock is right.
 */
export function pauseAsked(headers: Headers): number {
  const told = headers.get("retry-after") ?? "";
  const asked = /^\d+$/.test(told) ? Number(told) * 1000 : Date.parse(told) - Date.parse(headers.get("date") ?? "");
  return Number.isNaN(asked) ? 0 : Math.min(Math.max(asked, 0), MOST_ASKED);
}

function parsed(content: string): any {
  try {
    const told: unknown = JSON.parse(content);
    return typeof told === "object" && told !== null ? told : undefined;
  } catch {
    return undefined; // something that says so, and isn't
  }
}

function problem(told: any): Problem {
  return new Problem(told.code ?? 0, told.status ?? 0, told.title ?? "Refused", told.detail ?? "", told.pointer);
}
