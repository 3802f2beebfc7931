// Examples that need a node are programs that run as they are.

import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer, stopServers } from '../support/server.ts';

let node: RunningServer | undefined;

beforeAll(async () => {
  node = await startServer();
});
afterAll(stopServers);

/** What a program prints, which gets `input` and the node's address. */
function run(args: readonly string[], input = ''): Promise<{ readonly code: number | null; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, node?.url ?? ''], { stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text }));
    child.stdin.end(input);
  });
}

test('the example of streams has each line as an entry, in order, and the sum of all', async () => {
  const { code, text } = await run(['examples/streams.mjs'], Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
  const lines = text.trimEnd().split('\n');
  expect([code, lines.length, lines.at(-1)]).toEqual([0, 1001, 'sum 499500']);
  expect(lines.slice(0, -1).map((line) => line.split(' ')[1])).toEqual(Array.from({ length: 1000 }, (_, i) => String(i)));
});

/** Prints spans as they end, and what is measured by OpenTelemetry's names; and hands on one trace from whoever appends to whoever handles. */
const SDK = `data:text/javascript,${encodeURIComponent(`
import { metrics, trace, propagation } from '@opentelemetry/api';
const span = (name, { kind, attributes }) => ({
  setAttribute(key, value) { attributes[key] = value; },
  setAttributes(more) { Object.assign(attributes, more); },
  setStatus() {}, recordException() {}, addEvent() {},
  end: () => console.log(name, kind, attributes['messaging.system'], attributes['messaging.operation.type'], 'messaging.message.id' in attributes),
});
trace.setGlobalTracerProvider({ getTracer: () => ({ startActiveSpan: (name, options, work) => work(span(name, options)) }) });
const instrument = (name) => {
  const tell = (value, attributes) => {
    if (name.startsWith('messaging.')) console.log(name, value > 0, attributes['messaging.operation.name'], attributes['error.type']);
  };
  return { add: tell, record: tell };
};
metrics.setGlobalMeterProvider({ getMeter: () => ({ createCounter: instrument, createHistogram: instrument }) });
propagation.setGlobalPropagator({
  inject: (_context, carrier) => { carrier.traceparent = 'of the append'; },
  extract: (context, carrier) => { console.log('continues', carrier.traceparent); return context; },
  fields: () => ['traceparent'],
});
`)}`;

test('the example of OpenTelemetry has a span for an append, and one of the same trace for who handles it, and how long appends take', async () => {
  // The example is loaded beside the SDK that a program would set up; a data URL finds no packages, so both are resolved from here.
  const api = import.meta.resolve('@opentelemetry/api');
  const sdk = SDK.replace(encodeURIComponent("'@opentelemetry/api'"), encodeURIComponent(`'${api}'`));
  const { code, text } = await run(['--import', sdk, 'examples/telemetry.mjs']);
  expect([code, text.trimEnd().split('\n')]).toEqual([
    0,
    [
      'messaging.client.operation.duration true append undefined',
      'messaging.client.sent.messages true append undefined',
      'append log 3 loglog send true',
      'continues of the append',
      "handled { what: 'an order' }",
      'handle log 4 loglog process true',
    ],
  ]);
});
