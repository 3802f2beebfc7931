// What a client does, for OpenTelemetry: a span for each append and for each entry that is handled, and how long appends take, by its names for messaging;
// what happens to the connections as events of a span and as counts. Any SDK that the program sets up gets them; without one they cost nothing.
// Run it beside a node with: npm install @opentelemetry/api && node examples/telemetry.mjs ws://127.0.0.1:7070

import { subscribe, tracingChannel } from 'node:diagnostics_channel';
import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { connect, isLogError } from 'loglogd/client';

const tracer = trace.getTracer('loglog');
const meter = metrics.getMeter('loglog');
const COMMON = { 'messaging.system': 'loglog', 'messaging.destination.name': 'log' };

/** Every client of this process tells its events here: `connected`, `leader`, `waiting`, `diskFull`, … */
const events = meter.createCounter('loglog.client.events', { description: 'what happened to the clients of this process' });
subscribe('loglog:client', (event) => {
  events.add(1, { type: event.type });
  trace.getActiveSpan()?.addEvent(`loglog.${event.type}`, 'url' in event ? serverOf(event.url) : {});
});

function serverOf(url) {
  const { protocol, hostname, port } = new URL(url);
  return { 'server.address': hostname, 'server.port': Number(port) || (protocol === 'wss:' ? 443 : 80) };
}

/** Every `append` and `appendBatch` of this process comes by here, also those of code that knows nothing of OpenTelemetry. */
const durations = meter.createHistogram('messaging.client.operation.duration', { unit: 's', description: 'from an append to its receipt' });
const sent = meter.createCounter('messaging.client.sent.messages', { unit: '{message}', description: 'entries appended, or tried' });
const startsMs = new WeakMap();
tracingChannel('loglog:append').subscribe({
  start: (append) => startsMs.set(append, performance.now()),
  asyncEnd(append) {
    const failed = append.error === undefined ? {} : { 'error.type': append.error.code ?? '_OTHER' };
    const attributes = { ...COMMON, 'messaging.operation.name': 'append', ...failed };
    durations.record((performance.now() - startsMs.get(append)) / 1000, attributes);
    sent.add(append.entryCount, attributes);
  },
});

/** Runs `work` in a span, which ends as it does. */
async function inSpan(name, options, work) {
  return tracer.startActiveSpan(name, options, async (span) => {
    try {
      return await work(span);
    } catch (thrown) {
      // Whether it may have happened decides what to do next.
      if (isLogError(thrown)) span.setAttributes({ 'error.type': thrown.code, 'loglog.outcome': thrown.outcome });
      span.recordException(thrown);
      span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
      throw thrown;
    } finally {
      span.end();
    }
  });
}

/** Appends `value` as JSON; who reads it goes on in the same trace. */
export function appendTraced(log, value) {
  const attributes = { ...COMMON, 'messaging.operation.type': 'send', 'messaging.operation.name': 'append' };
  return inSpan('append log', { kind: SpanKind.PRODUCER, attributes }, async (span) => {
    const headers = {};
    propagation.inject(context.active(), headers);
    const receipt = await log.append(JSON.stringify({ headers, value }));
    span.setAttribute('messaging.message.id', String(receipt.offset));
    return receipt;
  });
}

/** Hands each entry to `handle`, in a span of the trace that appended it. */
export async function handleTraced(reading, handle) {
  for await (const { offset, payload } of reading) {
    const { headers, value } = JSON.parse(new TextDecoder().decode(payload));
    const attributes = {
      ...COMMON,
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'handle',
      'messaging.message.id': String(offset),
      'messaging.message.body.size': payload.length,
    };
    await context.with(propagation.extract(context.active(), headers), () =>
      inSpan('handle log', { kind: SpanKind.CONSUMER, attributes }, () => handle(value, offset)),
    );
  }
}

if (import.meta.filename === process.argv[1]) {
  const log = await connect(process.argv[2] ?? 'ws://127.0.0.1:7070');
  const { offset: from } = await appendTraced(log, { what: 'an order' });
  await handleTraced(log.read({ from, limit: 1 }), (value) => console.log('handled', value));
  await log.close();
}
