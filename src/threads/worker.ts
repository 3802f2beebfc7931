// The worker side of the piscina pools. Every task finishes all that it starts before it returns: an idle pool thread sleeps in
// Atomics.wait, where leftover asynchronous work would never run.

import { workerData } from 'node:worker_threads';
import { unreachable } from '../core/assert.ts';
import { toPlainError } from '../core/errors.ts';
import { DESCRIPTOR_WAIT_MS, WRITER_SPIN_MS } from '../core/limits.ts';
import { spinOf } from '../memory/processors.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { allocateFile } from '../storage/allocator.ts';
import type { StorageContext } from '../storage/context.ts';
import { Examiner } from '../storage/examiner.ts';
import { heal } from '../storage/healer.ts';
import { mend } from '../storage/mender.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { recover } from '../storage/recovery.ts';
import { emptyLog, removeSegments } from '../storage/removal.ts';
import { readScrub, saveScrub } from '../storage/scrubFile.ts';
import { addSeals, readSeals } from '../storage/sealsFile.ts';
import { SegmentReader } from '../storage/segmentReader.ts';
import { writeSegment } from '../storage/segmentTask.ts';
import { readTokenRequest, removeTokenRequest } from '../storage/tokenRequest.ts';
import { truncateLog } from '../storage/truncation.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import type { TaskOutcome, TaskRequest, Tasks, WorkerSetup } from './messages.ts';

const setup = workerData as WorkerSetup;
const memory = TailMemory.attach(setup.shared);
const context: StorageContext = {
  disk: diskOf(setup.fsync, DESCRIPTOR_WAIT_MS),
  directory: setup.directory,
  identity: setup.identity,
  memory,
  nowMs: () => performance.timeOrigin + performance.now(),
};
const spin = spinOf(memory, setup.spin, WRITER_SPIN_MS, false);
/** A read that finds no descriptor is an error for who asked; the log waits for one. */
const reader = new SegmentReader(new NodeDisk(), context.directory, memory);
const examiner = new Examiner({ ...context, disk: new NodeDisk() });

function run(task: TaskRequest): Tasks[TaskRequest['task']]['response'] {
  switch (task.task) {
    case 'recover':
      return recover(context, task.request.lookedUp);
    case 'allocate':
      allocateFile(context.disk, context.directory, task.request.name, task.request.bytes);
      return true;
    case 'write':
      return writeSegment(context, task.request.slot, task.request.spare, spin);
    case 'truncate':
      return truncateLog(context, task.request.offset);
    case 'remove':
      return removeSegments(context, task.request);
    case 'empty':
      emptyLog(context, task.request.base);
      return true;
    case 'findBatch':
      return reader.batchBefore(task.request.base, task.request.offset, task.request.buffer);
    case 'examine':
      return examiner.examine(task.request);
    case 'heal':
      return heal(context, task.request);
    case 'mend':
      return mend(context, task.request);
    case 'readScrub':
      return readScrub(context);
    case 'readTokenRequest':
      return readTokenRequest(context.directory);
    case 'removeTokenRequest':
      removeTokenRequest(context.disk, context.directory, task.request.id, readTokenRequest(context.directory));
      return true;
    case 'saveScrub':
      saveScrub(context, task.request.position);
      return true;
    case 'findTime':
      return reader.timeBefore(task.request.base, task.request.offset, task.request.buffer);
    case 'readCold':
      return reader.read(task.request.range, task.request.buffer);
    case 'readSeals':
      return readSeals(context.disk, context.directory);
    case 'addSeals':
      return addSeals(context.disk, context.directory, task.request.rows, task.request.at);
    default:
      return unreachable(task);
  }
}

/** Entry point of every pool thread. */
export default function handle(task: TaskRequest): TaskOutcome<Tasks[TaskRequest['task']]['response']> {
  try {
    return { ok: true, value: run(task) };
  } catch (thrown) {
    return { ok: false, error: toPlainError(thrown) };
  }
}
