// Links of a writer's chain, and what became of each.

import type { Writer } from '../../../src/client/writer/writer.ts';
import { outcomesOf } from './appendEach.ts';

/** Pipelines the texts, each as a link of its own, and returns what became of each, once all are settled. */
export function append(writer: Writer, ...texts: string[]): Promise<string[]> {
  return outcomesOf(texts.map((text) => writer.appendBatch([text])));
}

/** What became of a link after one that was refused. */
export const REFUSED = 'CHAIN_BROKEN failed';
