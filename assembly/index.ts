// The export surface is one file per user: server.ts (shared memory) and client.ts (unshared). This file is everything at once,
// for tests.

export { frame } from './entry';
export * from './server';
