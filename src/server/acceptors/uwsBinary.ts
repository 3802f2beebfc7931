// Comes before uWebSockets.js, and loads its binary, or throws why it cannot.

import { createRequire } from 'node:module';
import { MAX_HTTP_HEAD_BYTES } from '../../core/limits.ts';

// How much of a request's head it takes: it reads this from the environment while it is loaded.
process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(MAX_HTTP_HEAD_BYTES);

// What a package that is CommonJS throws while it is imported ends the process on Node 20, caught or not; what it throws while it is required does
// not. Packages that can only be imported (uws-pack) throw later, and are caught.
try {
  createRequire(import.meta.url)('uWebSockets.js');
} catch (thrown) {
  if ((thrown as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw thrown;
}
