// Limit (b): the least that a server of this protocol can do. It counts the entries of every APPEND by the request's word and answers
// at once; it stores nothing and verifies nothing. The client cannot tell.

import * as uWS from 'uWebSockets.js';
import {
  APPEND,
  APPENDED_HEADER_BYTES,
  encodeAppendedHeader,
  encodeReceipt,
  LEVEL_COMMITTED,
  MESSAGE_HEADER_BYTES,
  RECEIPT_BYTES,
  SUBPROTOCOL,
} from '../../src/protocol/client.ts';
import { encodeHello, PROTOCOL_VERSION } from '../../src/protocol/greeting.ts';

const MIB = 1024 * 1024;
const HELLO = {
  protocolVersion: PROTOCOL_VERSION,
  lowestVersion: PROTOCOL_VERSION,
  role: 'leader',
  nodeId: 1,
  clusterId: '0'.repeat(32),
  start: 0,
  commit: 0,
  term: 1,
  maxPayloadBytes: 16 * MIB - 1,
  windowBytes: Number(process.argv[2] ?? 4 * MIB),
  maxBatchBytes: Number(process.argv[3] ?? 17 * MIB),
  maxReadBytes: MIB,
  leader: '',
  process: '1'.repeat(16),
  isDurable: false,
  whyNoLeader: '',
  features: 0,
  cluster: undefined,
} as const;

const answer = new Uint8Array(APPENDED_HEADER_BYTES + RECEIPT_BYTES);
const answerView = new DataView(answer.buffer);
let entries = 0;
let end = 0;

const app = uWS.App();
app.ws<object>('/*', {
  maxPayloadLength: HELLO.maxBatchBytes + MIB,
  upgrade(response, request, context) {
    response.upgrade({}, request.getHeader('sec-websocket-key'), SUBPROTOCOL, '', context);
  },
  open(socket) {
    socket.send(encodeHello(HELLO), true);
  },
  message(socket, message) {
    const view = new DataView(message);
    if (view.byteLength < MESSAGE_HEADER_BYTES || view.getUint8(0) !== APPEND) return;
    entries += view.getUint32(16, true);
    const first = end;
    end += view.byteLength - MESSAGE_HEADER_BYTES;
    encodeAppendedHeader(answerView, 1);
    encodeReceipt(answerView, 0, view.getUint32(4, true), 1, first, end, LEVEL_COMMITTED, 1);
    socket.send(answer, true);
  },
});
app.get('/entries', (response) => {
  response.end(String(entries));
});
app.listen('127.0.0.1', 0, (socket) => {
  if (socket === false) throw new Error('the bare server cannot listen');
  console.log(JSON.stringify({ url: `ws://127.0.0.1:${uWS.us_socket_local_port(socket)}` }));
});
process.once('SIGTERM', () => process.exit(0));
