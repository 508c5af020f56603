const POLL = 30_000; // milliseconds between two polls where no stream is to be had
const BACK = 2_000; // milliseconds until a stream that ended is opened again, doubled with each failure
const BACK_MOST = 60_000; // milliseconds, at most
const PATIENCE = 15_000; // milliseconds to wait for the response of a request that is no stream
const SILENCE = 40_000; // milliseconds without a heartbeat, of which there is one in 15 seconds, until a stream is dead

/** Give the fields of each server-sent event that has data to `hear`, until the body ends; `onSilence` where it is dead. */
async function readEvents(body, hear, onSilence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", silence = 0;
  try {
    for (;;) {
      silence = setTimeout(onSilence, SILENCE);
      const { value, done } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: ?(.*)/s)));
        if (fields.data) hear(fields);
      }
    }
  } finally {
    clearTimeout(silence);
  }
}
