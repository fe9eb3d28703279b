// Accepts the events of ecs-task-notifier: Express, and the JavaScript library of Standard Webhooks.

import { createServer } from "node:http";
import express from "express";
import { Webhook } from "standardwebhooks";

const keys = process.env.NOTIFIER_VERIFYING_KEYS.trim().split(/\s+/).map((secret) => new Webhook(secret));
const rememberMs = 3_600_000;
const rememberMost = 10_000;
const waitingMost = 100;
const seen = new Map(); // A Map keeps the order of insertion: the oldest comes first.
let waiting = 0;

/** Returns the ARN of this task, or undefined outside ECS. */
async function ownTask() {
  const uri = process.env.ECS_CONTAINER_METADATA_URI_V4;
  if (uri === undefined) return undefined;
  const answer = await fetch(`${uri}/task`, { signal: AbortSignal.timeout(5000) });
  return (await answer.json()).TaskARN;
}

/** Returns the event if one of the keys signed this body within the last five minutes. */
function verified(request) {
  for (const key of keys) {
    try {
      return key.verify(request.body.toString(), request.headers);
    } catch (error) {
      if (error instanceof SyntaxError) throw error; // The signature matches, but the body is not JSON.
    } // The library throws several types for a malformed header; all of them mean: not verified.
  }
}

/** Returns whether this delivery is new. Forgets old deliveries. */
function first(delivery) {
  for (const [id, at] of seen) {
    if (seen.size < rememberMost && Date.now() - at <= rememberMs) break;
    seen.delete(id);
  }
  return !seen.has(delivery) && seen.set(delivery, Date.now());
}

/** Returns the id of the request's trace: the notifier's log has the same. The header is not signed, so its form is checked. */
function traceId(request) {
  const parts = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(request.headers.traceparent ?? "");
  return parts === null ? "-" : parts[1];
}

async function handle(event, trace) {
  console.log(`trace_id=${trace} ${event.type}: ${JSON.stringify(event.data)}`);
}

/** Returns the answer to a question. It changes nothing: a question may come again. */
function status() {
  return { version: process.env.VERSION ?? "unknown", waiting };
}

const task = await ownTask();
const app = express();
app.disable("x-powered-by");
app.use(express.raw({ type: "application/cloudevents+json", limit: "1mb" }));
app.post("/v1.0/notify", (request, response) => {
  if (!Buffer.isBuffer(request.body)) return response.status(415).send("the body must be application/cloudevents+json\n");
  let event;
  try {
    event = verified(request);
  } catch {
    return response.status(400).send("not JSON\n");
  }
  if (event === undefined) return response.status(401).send("no signature matches\n");
  if (task !== undefined && event.ecstask !== task) return response.status(421).send("the event is for another task\n");
  if (event.question === true) {
    // Clocks may differ by half a minute.
    if (Date.parse(event.expirytime) + 30_000 < Date.now()) return response.status(400).send("the question has expired\n");
    return response.json(status());
  }
  if (waiting >= waitingMost) return response.status(503).set("Retry-After", "1").send("busy\n");
  if (!first(request.headers["webhook-id"])) return response.status(200).send("handled before\n");
  waiting += 1;
  const trace = traceId(request);
  setImmediate(() => handle(event, trace).catch(console.error).finally(() => (waiting -= 1)));
  response.status(202).send("accepted\n");
});
app.all("/v1.0/notify", (_, response) => response.status(405).set("Allow", "POST").send("only POST is accepted here\n"));
// By default Node waits five minutes for an unfinished request, and checks twice a minute.
const limits = { requestTimeout: 5000, connectionsCheckingInterval: 1000 };
createServer(limits, app).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
