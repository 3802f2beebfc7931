// LogLog: the client batches automatically, by the room that the node's window leaves.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Batch, connect, LogClient, Receipt } from '../../../src/client/index.ts';
import type { Source } from '../source.ts';
import type { Target } from '../target.ts';
import type { Driver } from './driver.ts';

function seeAll(batch: Batch, see: (payload: Uint8Array) => void): void {
  const walk = batch.entries();
  for (let entry = walk.nextEntry(); entry !== undefined; entry = walk.nextEntry()) see(entry.payload);
}

/** The client of this build, or of the one in the folder `build`. */
function importClient(build: string | undefined): Promise<{ readonly connect: typeof connect }> {
  if (build === undefined) return import('../../../src/client/index.ts');
  return import(pathToFileURL(join(build, 'dist', 'src', 'client', 'index.js')).href);
}

async function appendAll(log: LogClient, source: Source): Promise<void> {
  const { batchEntries } = source;
  // Appends of one connection settle in their order, so the last receipt stands for all; a rejection that nobody handles ends the load.
  let last: Promise<Receipt> | undefined;
  for (;;) {
    if (source.mustWait) await source.ready();
    if (!log.hasRoom) await log.ready();
    if (batchEntries === 0) {
      const payload = source.next();
      if (payload === undefined) break;
      last = log.append(payload);
    } else {
      const payloads = source.take(batchEntries);
      if (payloads.length === 0) break;
      last = log.appendBatch(payloads);
    }
    source.noteAcknowledged(last);
  }
  await last;
}

export async function open({ urls, build, ca, token, isOnce = false }: Target): Promise<Driver> {
  const { connect } = await importClient(build);
  const access = { ...(ca === undefined ? {} : { tls: { ca } }), ...(token === undefined ? {} : { token }) };
  const log = await connect(urls, { ...access, ...(isOnce ? { producer: 'bench' } : {}) });
  return {
    keepsOrder: true,
    keepsLiveOrder: true,
    room: log,
    appendAll: (source) => appendAll(log, source),
    appendOne: (payload) => log.append(payload),
    async readAll(see) {
      // Any node may be read from, and one that lags would end early. A node by itself does not lag, and may be without a majority to ask.
      const atLeast = urls.length > 1 ? (await log.end({ linearizable: true })).end : 0;
      for await (const batch of log.read({ atLeast }).batches()) seeAll(batch, see);
    },
    async consumeAll(name, count, see) {
      const consumer = await log.consumer({ name });
      let left = count;
      for await (const entry of consumer) {
        see(entry.payload);
        left -= 1;
        const kept = consumer.commit(entry);
        if (left > 0) continue;
        await kept;
        break;
      }
      await consumer.close();
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
