// Functions of node:fs/promises that a test replaces, for as long as it runs: so that something happens between two steps of what is tested.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { onTestFinished } from 'vitest';

type Promises = typeof fs.promises;

/** Replaces `fs.promises[name]` until the test is over, or what is returned is called. */
export function replace<Name extends 'link' | 'open' | 'readdir' | 'rename' | 'rm'>(name: Name, other: Promises[Name]): () => void {
  const original = fs.promises[name];
  const restore = (): void => {
    fs.promises[name] = original;
    syncBuiltinESMExports();
  };
  fs.promises[name] = other;
  syncBuiltinESMExports();
  onTestFinished(restore);
  return restore;
}

/** Before the next call of `fs.promises[name]`, of whoever calls it, `work` is done. */
export function interpose(name: 'link' | 'rename', work: () => Promise<unknown>): void {
  const original = fs.promises[name];
  const restore = replace(name, async (from, to) => {
    restore();
    await work();
    await original(from, to);
  });
}
