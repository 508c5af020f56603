// The happy path by a client whose types are made of the OpenAPI document: `tsc` holds each call against them.
import createClient from "openapi-fetch";
import type { components, paths } from "./made.js";

declare const process: { argv: string[]; exitCode: number };

type Of<T extends string> = components["schemas"]["CloudEvent"] & { type: T };

const [, , url, key] = process.argv;
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const id = "ada";
const ada = { params: { path: { id } } };
const answers: [string, number][] = [];

async function call(name: string, promise: Promise<{ response: Response; error?: unknown }>): Promise<void> {
  const { response, error } = await promise;
  answers.push([name, response.status]);
  if (error) console.error(name, response.status, JSON.stringify(error));
}

const failed: Of<"payment.failed"> = {
  specversion: "1.0",
  id: "ts-1",
  source: "billing",
  type: "payment.failed",
  data: { account_id: "A-1", driver_id: id, attempt: 1, amount: { amount: 20.9, currency: "EUR" }, blocked: false },
};
// @ts-expect-error: the data are another type's
const another: Of<"payment.failed"> = { ...failed, data: { fleet_id: "acme" } };
// @ts-expect-error: no type listens to this
const unknown: components["schemas"]["CloudEvent"]["type"] = "no.such";

await call("put_recipient", api.PUT("/v1/recipients/{id}", { ...ada, body: { email: "ada@example.com" } }));
await call("patch_recipient", api.PATCH("/v1/recipients/{id}", {
  ...ada, body: { locale: "de" }, headers: { "Content-Type": "application/merge-patch+json" },
}));
await call("get_recipient", api.GET("/v1/recipients/{id}", ada));
await call("put_device", api.PUT("/v1/recipients/{id}/devices/{token}", {
  params: { path: { id, token: "t-1" } }, body: { platform: "ios" },
}));
await call("get_devices", api.GET("/v1/recipients/{id}/devices", ada));
await call("put_preferences", api.PUT("/v1/recipients/{id}/preferences", { ...ada, body: { channels: { sms: false } } }));
await call("patch_preferences", api.PATCH("/v1/recipients/{id}/preferences", { ...ada, body: { locale: "fr" } }));
await call("get_preferences", api.GET("/v1/recipients/{id}/preferences", ada));
await call("get_preference_history", api.GET("/v1/recipients/{id}/preferences/history", ada));
await call("post_consent", api.POST("/v1/recipients/{id}/consents", {
  ...ada, body: { category: "offers", channel: "all", granted: true, wording: "1", source: "app" },
}));
await call("get_consents", api.GET("/v1/recipients/{id}/consents", ada));
await call("put_tenant", api.PUT("/v1/tenants/{name}", { params: { path: { name: "network" } }, body: {} }));
await call("get_tenant", api.GET("/v1/tenants/{name}", { params: { path: { name: "network" } } }));
const segment = { params: { path: { id: "locals" } } };
await call("put_segment", api.PUT("/v1/segments/{id}", {
  ...segment, body: { name: "Locals", all: [{ field: "locale", operator: "eq", value: "fr" }] },
}));
await call("get_segment", api.GET("/v1/segments/{id}", segment));
await call("get_segments", api.GET("/v1/segments"));
await call("post_count", api.POST("/v1/segments/{id}/count", segment));
const topic = { params: { path: { topic: "station:1", recipient: id } } };
await call("put_subscriber", api.PUT("/v1/topics/{topic}/subscribers/{recipient}", topic));
await call("get_subscribers", api.GET("/v1/topics/{topic}/subscribers", { params: { path: { topic: "station:1" } } }));
await call("post_events", api.POST("/v1/events", {
  body: failed, headers: { "Content-Type": "application/cloudevents+json" },
}));
await call("post_events", api.POST("/v1/events", {
  body: [{ ...failed, id: "ts-2" }, { ...failed, id: "ts-3" }],
  headers: { "Content-Type": "application/cloudevents-batch+json" },
}));
await call("post_events", api.POST("/v1/events", {
  body: failed.data,
  params: { header: { "ce-specversion": "1.0", "ce-id": "ts-4", "ce-source": "billing", "ce-type": failed.type } },
}));
await call("post_simulate", api.POST("/v1/simulate", {
  body: { event: { type: failed.type, data: failed.data }, recipient: id },
}));
await call("get_explain", api.GET("/v1/explain", { params: { query: { source: "billing", id: "ts-1" } } }));
await call("get_dead", api.GET("/v1/dead", { params: { query: { limit: 10 } } }));
await call("get_ledger", api.GET("/v1/ledger"));
await call("post_cancel", api.POST("/v1/cancel", { body: { event: { source: "billing", id: "ts-1" } } }));
await call("post_preference_link", api.POST("/v1/recipients/{id}/preference-link", ada));
await call("get_export", api.GET("/v1/recipients/{id}/export", ada));
await call("delete_subscriber", api.DELETE("/v1/topics/{topic}/subscribers/{recipient}", topic));
await call("delete_segment", api.DELETE("/v1/segments/{id}", segment));
await call("delete_device", api.DELETE("/v1/recipients/{id}/devices/{token}", { params: { path: { id, token: "t-1" } } }));
await call("delete_recipient", api.DELETE("/v1/recipients/{id}", ada));
await call("get_health", api.GET("/healthz"));

console.log(JSON.stringify(answers));
