// The list of nodes on the command line: what is read, and what each mistake is told.

import { describe, expect, it } from 'vitest';
import { configure, ownPeer } from '../../src/core/config.ts';
import { LogError } from '../../src/core/errors.ts';
import { clientUrlOf, formatPeers, PEER_FORM, parsePeers, peerAddressOf } from '../../src/core/peers.ts';

const THREE = '1=10.0.0.1:7070/7170,2=b.example:7071/7171,3=[fd00::3]:7072/7172';

function usageError(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(LogError);
    expect((thrown as LogError).code).toBe('USAGE');
    return (thrown as LogError).message;
  }
  throw new Error('nothing was thrown');
}

describe('the list of nodes', () => {
  it('is read with names, IPv4 and IPv6 addresses, and written back the same', () => {
    const peers = parsePeers(THREE);
    expect(peers).toEqual([
      { id: 1, host: '10.0.0.1', port: 7070, peerPort: 7170 },
      { id: 2, host: 'b.example', port: 7071, peerPort: 7171 },
      { id: 3, host: 'fd00::3', port: 7072, peerPort: 7172 },
    ]);
    expect(formatPeers(peers)).toBe(THREE);
    expect(peers.map((peer) => clientUrlOf(peer))).toEqual(['ws://10.0.0.1:7070', 'ws://b.example:7071', 'ws://[fd00::3]:7072']);
    expect(peers.map(peerAddressOf)).toEqual(['10.0.0.1:7170', 'b.example:7171', '[fd00::3]:7172']);
  });

  it('is sorted by id, and whitespace around commas is nothing', () => {
    expect(formatPeers(parsePeers(' 32=a:3/4 ,\n\t 1=a:1/2 '))).toBe('1=a:1/2,32=a:3/4');
    expect(parsePeers('')).toEqual([]);
    expect(parsePeers('  ')).toEqual([]);
  });

  it.each([
    ['1=a:1/2,', '', 'does not have the form'],
    ['nonsense', 'nonsense', 'does not have the form'],
    ['1=a:1/2,2=b:1', '2=b:1', 'does not have the form'],
    ['1=a:1/2,b:1/2', 'b:1/2', 'does not have the form'],
    ['1=a:x/2', '1=a:x/2', 'does not have the form'],
    ['1=:1/2', '1=:1/2', 'does not have the form'],
    ['1=ws://a:1/2', '1=ws://a:1/2', 'does not have the form'],
    ['1=::1:7070/7170', '1=::1:7070/7170', 'is written in brackets'],
    ['1=[]:1/2', '1=[]:1/2', 'neither a name nor an address'],
    ['1=[a]:1/2', '1=[a]:1/2', 'neither a name nor an address'],
    ['1=[:::]:1/2', '1=[:::]:1/2', 'neither a name nor an address'],
    ['1=a b:1/2', '1=a b:1/2', 'neither a name nor an address'],
    ['1=10.0.0.256:1/2', '1=10.0.0.256:1/2', 'neither a name nor an address'],
    ['1=0.0.0.0:1/2', '1=0.0.0.0:1/2', '--host 0.0.0.0'],
    ['1=[::]:1/2', '1=[::]:1/2', '--host ::'],
    ['0=a:1/2', '0=a:1/2', 'from 1 to 32'],
    ['33=a:1/2', '33=a:1/2', 'from 1 to 32'],
    ['1=a:0/2', '1=a:0/2', 'PORT is a whole number from 1 to 65535'],
    ['1=a:1/65536', '1=a:1/65536', 'PEERPORT is a whole number from 1 to 65535'],
    ['1=a:1/1', '1=a:1/1', 'are the same'],
    ['1=a:1/2,1=b:1/2', '1=b:1/2', '"1=a:1/2" has the id 1 already'],
    ['1=a:1/2,2=a:2/3', '2=a:2/3', '"1=a:1/2" has the address a:2 already'],
  ])('%j: the error shows the entry, the reason and the form', (text, entry, reason) => {
    const message = usageError(() => parsePeers(text));
    expect(message).toContain(JSON.stringify(entry));
    expect(message).toContain(reason);
    expect(message).toContain(PEER_FORM);
  });

  it('has at most seven nodes', () => {
    const list = (count: number): string => Array.from({ length: count }, (_, i) => `${i + 1}=a${i}:1/2`).join();
    expect(parsePeers(list(7))).toHaveLength(7);
    expect(usageError(() => parsePeers(list(8)))).toContain('8 entries');
  });
});

describe('the configuration of a node in a cluster', () => {
  it('takes host and port from its own entry, unless they are given', () => {
    const config = configure({ node: '3', peers: THREE });
    expect(config).toMatchObject({ node: 3, host: 'fd00::3', port: 7072 });
    expect(ownPeer(config)?.peerPort).toBe(7172);
    expect(configure({ node: 1, peers: THREE, host: '0.0.0.0', port: 0 })).toMatchObject({ host: '0.0.0.0', port: 0 });
  });

  it('without peers is a single node with the defaults of before', () => {
    expect(configure({})).toMatchObject({ node: 1, peers: [], host: '127.0.0.1', port: 7070, electionTimeoutMs: 1000 });
  });

  it('its own id is among the nodes', () => {
    expect(usageError(() => configure({ node: 4, peers: THREE }))).toContain('names nodes 1, 2, 3, but this is --node 4');
    expect(usageError(() => configure({ fsync: 'no' }))).toContain('--fsync takes on or off, not "no"');
    expect([configure({}).fsync, configure({ fsync: 'off' }).fsync]).toEqual([true, false]);
    expect(usageError(() => configure({ node: 0 }))).toContain('--node takes a whole number from 1 to 32');
    expect(usageError(() => configure({ electionTimeoutMs: 49 }))).toContain('--election-timeout-ms');
  });
});
