// For `node --import`: uWebSockets.js is the CommonJS package of this folder, built as newer ones are, which has no binary for this system.

import Module, { register } from 'node:module';
import { fileURLToPath } from 'node:url';

const at = (file) => new URL(file, import.meta.url).href;
const hooks = `export const resolve = (name, context, next) =>
  name === 'uWebSockets.js' ? { url: '${at('wrapper.mjs')}', shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) =>
  name === 'uWebSockets.js' ? fileURLToPath(at('uws.cjs')) : resolveFilename.call(Module, name, ...rest);
