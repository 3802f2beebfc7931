// What a client that keeps the rules notices of those that do not: one append in flight and a subscriber, alone, then beside each attack. The
// attackers are those of the tests.

import { END, END_AT_LEAST, READ, requestMessage, SUBSCRIBE } from '../../src/protocol/client.ts';
import { Flood, type FloodWork } from '../../test/support/attack/flood.ts';
import { clientFrame, frameHead, OPCODE, repeated } from '../../test/support/attack/frames.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

type Attack = Omit<FloodWork, 'host' | 'port'>;

const MUCH_CREDIT = 0x7fff_ffff;
const NOTHING = new Uint8Array(0);
/** Entries that the log has when the attacks begin: more than a connection may have unsent. */
const FILLED_ENTRIES = 100_000;

/** Sends `frame` again and again as fast as it is taken, also after the goodbye, and comes back when it is cut. */
function endless(frame: Uint8Array): Attack {
  return { connections: 4, isWebSocket: true, isStubborn: true, isReplaced: true, chunk: repeated(frame, 256 * 1024) };
}

/** Sends `requests` once for each connection. */
function once(connections: number, requests: readonly Uint8Array[], isDeaf = false): Attack {
  return { connections, isWebSocket: true, isDeaf, once: Buffer.concat(requests.map((request) => clientFrame(request))), chunk: NOTHING };
}

/** `count` requests with ids of their own. */
function many(count: number, request: (id: number) => Uint8Array): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => request(i + 1));
}

/** By what the report calls them; `end` is the log's. */
function attacks(end: number): Record<string, Attack> {
  return {
    'requests without end': endless(clientFrame(requestMessage(END, 0, 1))),
    'pings without end': endless(clientFrame(Buffer.alloc(4), OPCODE.ping)),
    '200 half-sent messages': {
      connections: 200,
      isWebSocket: true,
      once: Buffer.concat([frameHead(1 << 20), Buffer.alloc(100_000)]),
      chunk: NOTHING,
    },
    '600 silent sockets': { connections: 600, isWebSocket: false, chunk: NOTHING },
    '60 readers that do not read': once(
      60,
      many(20, (id) => requestMessage(READ, 0, id, 0)),
      true,
    ),
    '128 × 256 subscriptions': once(
      128,
      many(256, (id) => requestMessage(SUBSCRIBE, 0, id, end, MUCH_CREDIT)),
    ),
    '257 × 256 ends that wait': once(
      257,
      many(256, (id) => requestMessage(END, END_AT_LEAST, id, 2 ** 52, 0, 60_000)),
    ),
  };
}

async function measure(context: Context, log: LogUnderTest, when: string): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds, isChecked } = context.sizes;
  const { append, delivery } = await log.load('tail', { payloadBytes, warmUpSeconds, seconds, isChecked });
  context.keep(`${when}: append to receipt`, append);
  context.keep(`${when}: append to delivery`, delivery);
  return [
    { what: `${when}: append, p50`, value: append.p50Ms, unit: 'ms' },
    { what: `${when}: append, p99`, value: append.p99Ms, unit: 'ms' },
    { what: `${when}: delivery, p99`, value: delivery.p99Ms, unit: 'ms' },
  ];
}

export const underAttack: Scenario = {
  name: 'under-attack',
  about: 'one append of 100 B in flight and a subscriber, alone and beside each kind of attack: p50 and p99',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withNode(async (log) => {
      await log.fill(context.sizes.smallBytes, FILLED_ENTRIES);
      const samples = await measure(context, log, 'alone');
      for (const [name, attack] of Object.entries(attacks(await log.running.commit()))) {
        const flood = await Flood.start(log.running.node(1).url, attack);
        try {
          samples.push(...(await measure(context, log, `beside ${name}`)));
        } finally {
          await flood.stop();
        }
      }
      return samples;
    });
  },
};
