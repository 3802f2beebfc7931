// What a client calls, in Node and in browsers, on its own unshared memory.

export { frame, verify } from './entry';
