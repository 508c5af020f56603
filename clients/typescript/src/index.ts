export { Problem, ServiceUnavailable, InvalidEvent, ProducerClosed, type Result } from "./answers.js";
export { Producer, type Options, type Event } from "./producer.js";
export type * from "./events.js";
