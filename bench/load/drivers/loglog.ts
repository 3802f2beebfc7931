// LogLog: the client batches by itself, by the room that the node's window leaves.

import { type Batch, connect, type Receipt } from '../../../src/client/index.ts';
import type { Driver, Target } from './driver.ts';

function seeAll(batch: Batch, see: (payload: Uint8Array) => void): void {
  const walk = batch.entries();
  for (let entry = walk.nextEntry(); entry !== undefined; entry = walk.nextEntry()) see(entry.payload);
}

export async function open({ urls }: Target): Promise<Driver> {
  const log = await connect(urls);
  return {
    keepsOrder: true,
    keepsLiveOrder: true,
    async appendAll(source) {
      // Appends of one connection settle in their order, so the last receipt stands for all; a rejection that nobody handles ends the load.
      let last: Promise<Receipt> | undefined;
      for (let payload = source.next(); payload !== undefined; payload = source.next()) {
        if (!log.hasRoom) await log.ready();
        last = log.append(payload);
      }
      await last;
    },
    appendOne: (payload) => log.append(payload),
    async readAll(see) {
      // Any node may be read from, and one that lags would end early. A node by itself does not lag, and may be without a majority to ask.
      const atLeast = urls.length > 1 ? (await log.end({ linearizable: true })).end : 0;
      for await (const batch of log.read({ atLeast }).batches()) seeAll(batch, see);
    },
    async subscribe(see) {
      const stream = log.subscribe({ from: (await log.end()).end }).batches();
      const follow = async (): Promise<void> => {
        for await (const batch of stream) seeAll(batch, see);
      };
      void follow();
      return async () => {
        await stream.return?.();
      };
    },
    close: () => log.close(),
  };
}
