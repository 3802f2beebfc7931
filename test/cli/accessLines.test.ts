// What is to be typed before other commands where a node has TLS or asks for tokens.

import { expect, test } from 'vitest';
import { accessLines } from '../../dist/src/cli/commands/serve.js';
import { configure } from '../../dist/src/core/config.js';

const FILES = { tlsCert: 'n.crt', tlsKey: 'n.key' };

test('nothing on a node that is open; its authority where it has one; the first token where it asks for tokens', () => {
  expect(accessLines(configure({}), '/d')).toBe('');
  expect(accessLines(configure(FILES), '/d')).toBe('');
  const all = accessLines(configure({ ...FILES, peerCa: 'ca.crt', tokens: 'on', node: '1', peers: '1=a:1/2,2=b:1/2' }), '/d').split('\n');
  expect(all[0]).toBe('  export LOGLOG_TLS_CA=ca.crt');
  expect(all[1]).toContain('token create --data /d --name admin --scopes admin > token');
  expect(all.slice(2)).toEqual(['  export LOGLOG_TOKEN_FILE=token', '']);
  // A mirror takes the tokens of its source.
  expect(accessLines(configure({ tokens: 'on' }), undefined)).toBe('  export LOGLOG_TOKEN_FILE=token\n');
});
