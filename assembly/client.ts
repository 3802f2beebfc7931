// What a client calls, in Node and in browsers, on its own unshared memory.

export { frame, scan } from './entry';
