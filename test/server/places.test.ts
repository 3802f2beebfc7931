// Connections that were ended and that their clients keep open: they must not take the places of others, nor the descriptors of the log.

import { readdirSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Places } from '../../src/server/places.ts';
import { type Attack, beside } from '../support/attack/beside.ts';
import { clientFrame, OPCODE } from '../support/attack/frames.ts';
import { makeDirectory } from './support/fixture.ts';
import { ProcessNode } from './support/processNode.ts';

const LIMIT = 300;
const ENDED = 60;

/** Opens connections without end, each of which sends `once`, is ended, and stays open on its own side. */
function lingering(once: Uint8Array): Attack {
  return { connections: 6, isWebSocket: true, once, chunk: Buffer.alloc(0), isStubborn: true, isReplaced: true };
}

test.each(['uws', 'ws'] as const)(
  "A1: connections that do not close after the goodbye take nobody else's place, and no descriptor of the log, by %s",
  async (acceptor) => {
    const wrapper = ['prlimit', `--nofile=${LIMIT}:${LIMIT}`];
    const node = await ProcessNode.start({ data: makeDirectory(), slots: 3, segmentBytes: 65_536, wrapper, acceptor });
    onTestFinished(() => node.kill());
    const attacks = {
      'a text frame': lingering(clientFrame(Buffer.from('x'), OPCODE.text)),
      'a goodbye': lingering(clientFrame(Buffer.from([0x03, 0xe8]), OPCODE.close)),
      'a fatal error': lingering(clientFrame(Buffer.alloc(24, 0xff))),
    };
    // Its segments are small, so it needs new descriptors all the time.
    await beside(node, attacks, { appends: 600, healthChecks: 20, untilCuts: ENDED }, onTestFinished);
    expect(node.isRunning).toBe(true);
    expect(readdirSync(`/proc/${node.pid}/fd`).length).toBeLessThan(LIMIT - 20);
  },
);

describe('places', () => {
  const bounds = { maxConnections: 80, maxSockets: 100, maxDescriptors: 100 };
  const OTHERS = 7;

  /** Places of a system whose sockets and clock a test sets. */
  function make(state: { http: number; clients: number; lingering: number; nowMs: number }): Places {
    const openSockets = (): number => OTHERS + state.http + state.clients + state.lingering;
    const system = { openSockets, lingering: () => undefined, nowMs: () => state.nowMs };
    return new Places(
      bounds,
      () => state.http,
      () => state.clients,
      system,
    );
  }

  test('what was ended counts as a client until it is gone, and never as more than there is', () => {
    const state = { http: 0, clients: 0, lingering: 0, nowMs: 0 };
    const places = make(state);
    for (let i = 0; i < 70; i++) places.ended();
    state.lingering = 70;
    state.clients = 9;
    expect([places.hasPlaceForClient, places.hasPlaceForGoodbye]).toEqual([true, false]);
    places.ended();
    state.lingering += 1;
    // It was looked up a moment ago.
    expect(places.hasPlaceForClient).toBe(false);
    state.lingering = 60;
    expect(places.hasPlaceForClient).toBe(false);
    state.nowMs += 1000;
    expect(places.hasPlaceForClient).toBe(true);
    state.lingering = 0;
    state.nowMs += 1000;
    expect(places.hasPlaceForGoodbye).toBe(true);
  });

  test('HTTP keeps its own, whatever the clients do', () => {
    const state = { http: 0, clients: 0, lingering: 0, nowMs: 0 };
    const places = make(state);
    while (places.hasPlaceForClient) {
      places.ended();
      state.lingering += 1;
      state.nowMs += 1000;
    }
    expect(state.lingering).toBe(bounds.maxConnections);
    state.http = bounds.maxSockets - bounds.maxConnections;
    expect(places.isOverfull).toBe(false);
    state.http += 1;
    state.nowMs += 1000;
    expect(places.isOverfull).toBe(true);
  });
});
