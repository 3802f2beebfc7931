// Load: the disk alone, as fast as it takes bytes: a whole file from front to back, over blocks that were written before, and one sync when
// all is written, which is part of the time.

import * as fs from 'node:fs';
import { withAllocatedFile, writeFully } from './allocatedFile.ts';
import { program } from './program.ts';
import type { SequentialParams, SequentialResult } from './types.ts';

program('sequential', async (params: SequentialParams): Promise<SequentialResult> => {
  return withAllocatedFile(params, (file, payload) => {
    const started = performance.now();
    let position = 0;
    for (; position + payload.length <= params.fileBytes; position += payload.length) writeFully(file, payload, position);
    fs.fdatasyncSync(file);
    return { megabytesPerSecond: position / (performance.now() - started) / 1000 };
  });
});
