// Comes before uWebSockets.js, and loads its binary, or throws why it cannot.

import { createRequire } from 'node:module';

// What a package that is CommonJS throws while it is imported ends the process on Node 20, caught or not; what it throws while it is required does
// not. Packages that can only be imported (uws-pack) throw later, and are caught.
try {
  createRequire(import.meta.url)('uWebSockets.js');
} catch (thrown) {
  if ((thrown as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw thrown;
}
