// What piscina loads into each thread. It require()s its file, and Node aborts the whole process when a thread is ended while a require() links
// ES modules (FATAL ERROR: v8::Module::IsGraphAsync must be used on an instantiated module): a node that is refused at its start ends its threads
// just then. An import() may be ended at any time. Piscina awaits what a file exports, so a thread counts as ready once all of it is loaded.
// It says so first (loading.ts).

const { parentPort, threadId } = require('node:worker_threads') as typeof import('node:worker_threads');

module.exports = import('./worker.ts').then(
  ({ default: handle }) => {
    parentPort?.postMessage(threadId);
    return handle;
  },
  (error: unknown) => {
    // The thread ends on it, as on any error outside of a task. Piscina would import this file again, and go on with no function.
    queueMicrotask(() => {
      throw error;
    });
    return new Promise<never>(() => {});
  },
);
