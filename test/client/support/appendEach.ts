// Appends of which each travels alone, and what became of each.

import type { LogClient } from '../../../src/client/client.ts';
import type { FakeServer } from './fakeServer.ts';
import { settleMicrotasks } from './fakeServer.ts';

/** Appends each text in a message of its own. */
export async function appendEach(log: LogClient, texts: readonly string[], options?: { expectedEnd: number }): Promise<Promise<unknown>[]> {
  const promises: Promise<unknown>[] = [];
  for (const text of texts) {
    const promise = log.append(text, options);
    promise.catch(() => undefined);
    promises.push(promise);
    await settleMicrotasks();
  }
  return promises;
}

export async function outcomesOf(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => (result.status === 'fulfilled' ? 'done' : `${result.reason.code} ${result.reason.outcome}`));
}

/** The requests that a node has and does not answer. */
export function openAppends(node: FakeServer): number[] {
  return node.connection.unanswered.map(({ requestId }) => requestId);
}
