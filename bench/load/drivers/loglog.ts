// LogLog: the client batches by itself, by the room that the node's window leaves.

import { connect, type Receipt } from '../../../src/client/index.ts';
import type { Driver, Target } from './driver.ts';

export async function open({ urls }: Target): Promise<Driver> {
  const log = await connect(urls);
  return {
    keepsOrder: true,
    async appendAll(source) {
      // Appends of one connection settle in their order, so the last receipt stands for all; a rejection that nobody handles ends the load.
      let last: Promise<Receipt> | undefined;
      for (let payload = source.next(); payload !== undefined; payload = source.next()) {
        if (!log.hasRoom) await log.ready();
        last = log.append(payload);
      }
      await last;
    },
    async appendOne(payload) {
      await log.append(payload);
    },
    async readAll(see) {
      for await (const batch of log.read().batches()) {
        const walk = batch.entries();
        for (let entry = walk.nextEntry(); entry !== undefined; entry = walk.nextEntry()) see(entry.payload);
      }
    },
    close: () => log.close(),
  };
}
