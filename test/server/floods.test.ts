// Connections that send without end, beside a well-behaved client, which must not be held up for long, nor cut.

import { describe, expect, onTestFinished, test } from 'vitest';
import { MAX_REQUESTS_PER_CONNECTION, MAX_UNACKNOWLEDGED_APPENDS, SEND_BUFFER_CUT_BYTES } from '../../src/core/servingLimits.ts';
import { CANCEL, CLOSE_FLOOD, END, requestMessage } from '../../src/protocol/client.ts';
import { type Attack, type BesideOptions, type BesideReport, beside, endless } from '../support/attack/beside.ts';
import { clientFrame, OPCODE, repeated } from '../support/attack/frames.ts';
import { frameEntries } from './support/entries.ts';
import { connect, startNode } from './support/fixture.ts';

/** What garbage of many messages may take until it is collected. */
const GARBAGE_MEGABYTES = 150;

/** Runs the attacks on a node of default options, and checks that they cost the node little memory. */
async function attack(attacks: Record<string, Attack>, options: BesideOptions = {}, megabytes = 0): Promise<BesideReport> {
  const report = await beside(await startNode(), attacks, options, onTestFinished);
  expect(report.grownMegabytes).toBeLessThan(megabytes + GARBAGE_MEGABYTES);
  return report;
}

test('A1: answers to pings that nobody reads count as unread bytes, over all connections', async () => {
  // Below the budget of a turn; each ping asks for 127 bytes.
  const chunk = repeated(clientFrame(Buffer.alloc(125), OPCODE.ping), 16 * 1024);
  const deaf = { connections: 40, isWebSocket: true, chunk, isDeaf: true, bytesPerSecond: 8e6 };
  await attack({ deaf }, { appends: 600, healthChecks: 40 }, SEND_BUFFER_CUT_BYTES / 1e6);
});

test('A1: many connections that each send less than their budget hold up nobody for long, nor do those that come again', async () => {
  const chunk = repeated(clientFrame(requestMessage(END, 0, 1)), 8 * 1024);
  const many = { connections: 64, isWebSocket: true, chunk, bytesPerSecond: 400_000 };
  const again = { ...endless(clientFrame(requestMessage(CANCEL, 0, 1))), connections: 4, isStubborn: false, isReplaced: true };
  const { cuts } = await attack({ many, again }, { untilCuts: 64 });
  for (const name of ['many', 'again']) expect(new Set(cuts[name]?.map(({ code }) => code))).toContain(CLOSE_FLOOD);
});

describe('A1: a client that keeps the rules is never cut', () => {
  test('with pings that came while the node stood still', async () => {
    const node = await startNode();
    const client = await connect(node);
    node.signal('SIGSTOP');
    for (let i = 0; i < 2000; i++) client.socket.ping();
    node.signal('SIGCONT');
    await client.append(Buffer.from('x'));
    expect(client.errors).toEqual([]);
  });

  test('with all that it may have under way, at once, after the node stood still', async () => {
    const node = await startNode();
    const client = await connect(node);
    const body = frameEntries([Buffer.from('x')]);
    node.signal('SIGSTOP');
    const appends = Array.from({ length: MAX_UNACKNOWLEDGED_APPENDS }, () => client.appendFramed(body, 1));
    const others = Array.from({ length: MAX_REQUESTS_PER_CONNECTION }, () =>
      Promise.all([client.end(), client.cancel(client.newId()), client.read(0, { maxBytes: 1 })]),
    );
    node.signal('SIGCONT');
    await Promise.all([...appends, ...others]);
    expect(client.errors).toEqual([]);
  });
});
