/** The program of the behaviour table in TypeScript: a promise for each call. */
import { createInterface } from "node:readline";

import { InvalidEvent, Problem, Producer, ProducerClosed, ServiceUnavailable } from "../src/index.js";

type Told = Record<string, any>;

let producer: Producer;
let calls: Promise<[string, object][]>[] = [];

async function done(told: Told): Promise<object> {
  switch (told.do) {
    case "open":
      producer = new Producer({
        url: told.url,
        key: told.key,
        source: told.source,
        timeout: told.timeout * 1000,
        requestTimeout: told.request_timeout * 1000,
        spool: told.spool ?? undefined,
        spoolBytes: told.spool_bytes ?? undefined,
      });
      return {};
    case "start":
      for (const call of told.calls) calls.push(called(call, told.many));
      return {};
    case "finish": {
      const ended = await Promise.all(calls);
      calls = [];
      return { results: ended.flat() };
    }
    case "close":
      return { unsent: await producer.close(told.timeout * 1000) };
    case "show":
      return { shown: `${producer} ${JSON.stringify(producer)}` };
    default:
      throw new Error(`no such thing: ${told.do}`);
  }
}

async function called(call: Told[], many: boolean): Promise<[string, object][]> {
  const events = call.map((each) => ({ type: "table", data: data(each), id: each.id }) as any);
  for (const each of events) each.type = "charging.complete";
  try {
    if (!many) return [[events[0].id, { accepted: await producer.send(events[0]) }]];
    const results = await producer.sendMany(events);
    return results.map((each, index) => [events[index].id, "accepted" in each ? each : failure(each.refused)]);
  } catch (error) {
    return events.map((each) => [each.id, failure(error)]);
  }
}

function data(told: Told): Told {
  return {
    n: told.id,
    padding: told.padding,
    ...(told.impossible ? { it: 10n } : {}),
    ...(told.half_character ? { it: "\ud800" } : {}),
  };
}

function failure(error: unknown): object {
  if (error instanceof Problem) return { code: error.code, status: error.status };
  if (error instanceof ServiceUnavailable) return { failed: "unavailable", retry_after: error.retryAfter / 1000 };
  return { failed: error instanceof ProducerClosed ? "closed" : error instanceof InvalidEvent ? "invalid" : String(error) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await done(JSON.parse(line)).catch((error: Error) => ({ error: error.message }));
  console.log(JSON.stringify(answer));
}
process.exit();
