// The other end of loopback: plain TCP. A connection that says `echo` gets back what it sends; one that says `sink` gets the number of bytes
// that came, once it has ended.

import { createServer, type Socket } from 'node:net';

const WORD_BYTES = 4;

function serve(socket: Socket): void {
  let head = Buffer.alloc(0);
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (isEcho) socket.write(chunk);
  };
  let isEcho = false;
  const begin = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    if (head.length < WORD_BYTES) return;
    isEcho = head.toString('latin1', 0, WORD_BYTES) === 'echo';
    socket.off('data', begin);
    socket.on('data', take);
    if (head.length > WORD_BYTES) take(head.subarray(WORD_BYTES));
  };
  socket.setNoDelay(true);
  socket.on('data', begin);
  socket.once('end', () => socket.end(isEcho ? '' : String(bytes)));
  socket.on('error', () => socket.destroy());
}

const server = createServer({ allowHalfOpen: true }, serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the echo server cannot listen');
  console.log(JSON.stringify({ url: `tcp://127.0.0.1:${address.port}` }));
});
process.once('SIGTERM', () => process.exit(0));
