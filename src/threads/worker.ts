// The worker side of the piscina pools. Every task finishes all that it starts before it returns: an idle pool thread sleeps in
// Atomics.wait, where leftover asynchronous work would never run.

import { workerData } from 'node:worker_threads';
import { unreachable } from '../core/assert.ts';
import { toPlainError } from '../core/errors.ts';
import { MARK_IDLE_MS } from '../core/limits.ts';
import { SIGNAL, SLOT } from '../memory/map.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { allocateFile } from '../storage/allocator.ts';
import type { StorageContext } from '../storage/context.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { recover } from '../storage/recovery.ts';
import { SegmentReader } from '../storage/segmentReader.ts';
import { SegmentWriter } from '../storage/segmentWriter.ts';
import { truncateLog } from '../storage/truncation.ts';
import type { TaskOutcome, TaskRequest, Tasks, WorkerSetup } from './messages.ts';

const setup = workerData as WorkerSetup;
const memory = TailMemory.attach(setup.shared);
const context: StorageContext = {
  disk: new NodeDisk(),
  directory: setup.directory,
  identity: setup.identity,
  memory,
  nowMs: () => performance.timeOrigin + performance.now(),
};
const reader = new SegmentReader(context.disk, context.directory, memory);

const stopping = (): boolean => memory.signal(SIGNAL.STOP) !== 0;

/** Waits until everything before the slot's segment is durable. Returns false when writers are to stop and the segment is empty. */
function waitForPredecessor(base: number): boolean {
  for (;;) {
    const seen = memory.signal(SIGNAL.DURABLE);
    if (memory.durable === base) return true;
    if (stopping() && memory.tail <= base) return false;
    memory.waitSync(SIGNAL.DURABLE, seen);
  }
}

/** The life of one open segment. Blocks its thread, which is what the thread is for. */
function writeSegment({ slot, spare }: Tasks['write']['request']): Tasks['write']['response'] {
  const base = memory.slotWord(slot, SLOT.BASE);
  if (spare !== undefined && !waitForPredecessor(base)) return 'unmade';
  const writer = spare === undefined ? SegmentWriter.resume(context, slot) : SegmentWriter.create(context, slot, spare);
  for (;;) {
    const seen = memory.signal(SIGNAL.TAIL);
    if (writer.step()) continue;
    if (writer.isComplete) return writer.seal();
    if (stopping()) {
      writer.close();
      return 'open';
    }
    const timedOut = memory.waitSync(SIGNAL.TAIL, seen, writer.markIsBehind ? MARK_IDLE_MS : undefined);
    if (timedOut) writer.writeMark();
  }
}

function run(task: TaskRequest): Tasks[TaskRequest['task']]['response'] {
  switch (task.task) {
    case 'recover':
      return recover(context);
    case 'allocate':
      allocateFile(context.disk, context.directory, task.request.name, task.request.bytes);
      return true;
    case 'write':
      return writeSegment(task.request);
    case 'truncate':
      return truncateLog(context, task.request.offset);
    case 'readCold':
      return reader.read(task.request.range, task.request.buffer);
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
