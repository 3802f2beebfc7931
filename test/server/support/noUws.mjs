// Makes the binary of uWebSockets.js one that cannot be loaded, as on a Node or a system for which there is none: for `node --import`.

import Module from 'node:module';

const load = Module._extensions['.node'];
Module._extensions['.node'] = (module, path) => {
  if (/uws_[^/]*\.node$/.test(path)) throw new Error('GLIBC_2.38 not found');
  return load(module, path);
};
