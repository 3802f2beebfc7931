// The log inside a program: `import { openLog } from 'loglogd'`.

export { AbortedError } from './client/aborts.ts';
export { LogClient } from './client/client.ts';
export { typedLog } from './client/codec.ts';
export { Consumer } from './client/consumers/consumer.ts';
export { fileStore } from './client/consumers/fileStore.node.ts';
// Types alone: the client's entry loads WebSockets, which a log without others does not need.
export type * from './client/index.ts';
export { Writer } from './client/writer/writer.ts';
export { isLogError, LogError } from './core/errors.ts';
export { EmbeddedLog, openLog } from './embedded/embeddedLog.ts';
export type { Logger, LogLevel, LogLine, LogTo } from './embedded/log.ts';
export type { ListenOptions, NodeOptions, OpenOptions, Size } from './embedded/options.ts';
