// When clients are told that uploads help: a leader's links wait, and several clients are busy.

import { expect, it } from 'vitest';
import { BUSY_CLIENT_BYTES, MIN_UPLOAD_BYTES } from '../../src/core/uploadLimits.ts';
import { STATE } from '../../src/memory/map.ts';
import { UploadHelp } from '../../src/node/uploadHelp.ts';
import { smallMemory } from '../crash/testNode.ts';

interface Setup {
  readonly help: UploadHelp;
  readonly told: boolean[];
  /** The links wait, or do not. */
  wait(doWait: boolean): void;
  /** A second passes. Returns whether anybody still looks. */
  second(): boolean;
}

function setUp(): Setup {
  const memory = smallMemory(65_536);
  const timers: (() => void)[] = [];
  const told: boolean[] = [];
  const after = (_delayMs: number, run: () => void): { cancel(): void } => {
    timers.push(run);
    return { cancel: () => undefined };
  };
  const help: UploadHelp = new UploadHelp(memory, { after }, () => void told.push(help.isNeeded));
  return {
    help,
    told,
    wait: (doWait) => memory.setWord32(STATE.LINKS_WAIT, Number(doWait)),
    second: () => {
      for (const run of timers.splice(0)) run();
      return timers.length > 0;
    },
  };
}

const [one, other] = [{}, {}];

it('says so when links wait and two clients are busy for two seconds, and takes it back after three quiet seconds', () => {
  const { help, told, wait, second } = setUp();
  const append = (): void => {
    help.appended(one, BUSY_CLIENT_BYTES);
    help.appended(other, BUSY_CLIENT_BYTES);
  };
  append();
  second();
  expect(told).toEqual([]);
  wait(true);
  append();
  second();
  expect(told).toEqual([]);
  append();
  second();
  expect(told).toEqual([true]);
  second();
  second();
  append();
  second();
  expect(told).toEqual([true]);
  second();
  second();
  expect(second()).toBe(false);
  expect(told).toEqual([true, false]);
});

it('does not for two clients of which one goes on where the other ends', () => {
  const { help, told, wait, second } = setUp();
  wait(true);
  for (const clients of [[one], [one, other], [other], [other, one], [one]]) {
    for (const client of clients) help.appended(client, BUSY_CLIENT_BYTES);
    expect(second()).toBe(clients.length > 1);
  }
  expect(told).toEqual([]);
});

it('does not for one client, nor for small messages', () => {
  const { help, told, wait, second } = setUp();
  wait(true);
  help.appended(one, 10 * BUSY_CLIENT_BYTES);
  second();
  for (const client of [one, other]) for (let i = 0; i < 100; i += 1) help.appended(client, MIN_UPLOAD_BYTES - 1);
  second();
  expect(told).toEqual([]);
});
