// Pages of which origins may talk to a node.

import { expect, it } from 'vitest';
import { Hosts } from '../../src/server/hosts.ts';
import { Origins } from '../../src/server/origins.ts';

const origins = new Origins({
  listed: ['https://app.example'],
  hosts: new Hosts(['node-a.example']),
  memberUrls: () => ['ws://node-b.example:7070', 'wss://node-c.example'],
});

it.each([
  ['', 'anything'],
  ['http://localhost:3000', 'node-a.example:7070'],
  ['http://[::1]:3000', ''],
  ['https://app.example', 'node-a.example:7070'],
  // Its own page, and those of the other nodes.
  ['http://node-a.example:7070', 'node-a.example:7070'],
  ['http://10.0.0.5:7070', '10.0.0.5:7070'],
  ['http://node-b.example:7070', 'node-a.example:7070'],
  ['https://node-c.example', 'node-a.example:7070'],
])('a page of %j is let in at %j', (origin, host) => expect(origins.isAllowed(origin, host)).toBe(true));

it.each([
  ['https://evil.example', 'node-a.example:7070'],
  // DNS rebinding: its name leads here, and it says so itself.
  ['http://evil.example:7070', 'evil.example:7070'],
  ['http://10.0.0.5:7070', '10.0.0.6:7070'],
  ['http://10.0.0.5:8080', '10.0.0.5:7070'],
  ['http://node-b.example:7071', 'node-a.example:7070'],
  ['https://node-b.example:7070', 'node-a.example:7070'],
  ['http://localhost.evil.example', ''],
  ['null', 'node-a.example:7070'],
  ['file://localhost', 'node-a.example:7070'],
  ['chrome-extension://localhost', 'node-a.example:7070'],
  ['nonsense', 'nonsense'],
])('a page of %j is not at %j', (origin, host) => expect(origins.isAllowed(origin, host)).toBe(false));
