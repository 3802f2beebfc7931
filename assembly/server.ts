// What a node's threads call, on one shared memory. No static data, no globals that change, no allocation: see ARCHITECTURE.md.

export { clip, index, sameTermBytes, stamp, stampOwn, verify } from './entry';
export { addWord, exchangeWord, loadWord, storeWord } from './words';
export { xxh64 } from './xxh64';
