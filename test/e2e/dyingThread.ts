// Loaded into every thread of a node before its own code (node --import), so that a test can have one of them die: no task of it
// fails, it is just gone. DYING_THREAD says which one, and how.
//
//   raft exit, raft throw     the raft thread, when the process gets SIGUSR2
//   pool exit COUNT           the thread of a pool that is the first to sync files COUNT times, in the middle of its task

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { BroadcastChannel, isMainThread, workerData } from 'node:worker_threads';

const CHANNEL = 'dying thread';
const [thread, manner, count] = (process.env.DYING_THREAD ?? '').split(' ');

function die(): never {
  if (manner === 'exit') process.exit(0);
  throw new Error('this thread was told to die');
}

/** The raft thread is the one that is told about elections (RaftSetup). */
function isRaftThread(): boolean {
  return typeof workerData === 'object' && workerData !== null && 'electionTimeoutMs' in workerData;
}

if (isMainThread) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  process.on('SIGUSR2', () => channel.postMessage('die'));
} else if (thread === 'raft' && isRaftThread()) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.unref();
  channel.onmessage = die;
} else if (thread === 'pool' && !isRaftThread()) {
  const { fdatasyncSync } = fs;
  let syncs = 0;
  const dyingSync = (file: number): void => {
    syncs += 1;
    if (syncs === Number(count)) die();
    fdatasyncSync(file);
  };
  Object.assign(fs, { fdatasyncSync: dyingSync });
  syncBuiltinESMExports();
}
