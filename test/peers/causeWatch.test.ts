// A6: what a node makes of what it knows of its links: which cause, which sentence, and how often it is said.

import { describe, expect, test } from 'vitest';
import { CAUSES, type Cause, causes, whyNoLeader } from '../../src/core/causes.ts';
import { MAX_WHY_BYTES, SAY_AGAIN_MS } from '../../src/core/peerLimits.ts';
import { CauseWatch, causesOf, type LinkFault, type LinkView } from '../../src/peers/causeWatch.ts';
import type { Refuser } from '../../src/protocol/peerHandshake.ts';

const OWN = { id: 1, process: 'a1'.repeat(8), listensOn: '0.0.0.0', isSilent: false };

function by(from: number, process = 'b2'.repeat(8)): Refuser {
  return { clusterId: 'c'.repeat(32), from, process, instance: `${from}`.repeat(16) };
}

function refused(code: 'OWN_ID' | 'WRONG_NODE' | 'OTHER_PROCESS' | 'OTHER_NODES', from: Refuser | undefined, sentence = 'no'): LinkFault {
  return { kind: 'refused', code, sentence, isOurs: false, by: from };
}

function link(id: number, change: Partial<LinkView> = {}): LinkView {
  const address = { id, host: `host${id}`, peerPort: 7170 };
  return { address, fault: undefined, isConnected: true, isHeard: true, rivals: undefined, remoteAddress: undefined, ...change };
}

function down(id: number, fault: LinkFault, isHeard = false): LinkView {
  return link(id, { fault, isConnected: false, isHeard });
}

const GONE: LinkFault = { kind: 'failed', reason: 'connection refused' };

test('no cause names a flag: programs, which call options otherwise, hear it too', () => {
  const facts = { at: 'host2:1', instance: '1'.repeat(16) };
  const all = [
    causes.leadsToSelf(2, 'host2:1'),
    causes.leadsToOther(2, 'host2:1', 3),
    causes.twoProcesses(2, facts, facts),
    causes.isSecond(1, 2, 'no', true),
    causes.listensOnLoopback(1, '127.0.0.1:1'),
    causes.oneWay(2, 'host2:1', 'no'),
    causes.isNotReached(2),
  ];
  for (const { sentence } of all) expect(sentence).not.toMatch(/--[a-z]/);
});

describe('a cause', () => {
  test.each<[string, LinkFault, boolean, Partial<Cause>, string]>([
    [
      'an address that leads back',
      refused('OWN_ID', by(1, OWN.process)),
      false,
      { code: 'LEADS_TO_SELF', node: 3 },
      'host3:7170, leads back to this node',
    ],
    [
      'an address of another node',
      refused('WRONG_NODE', by(2)),
      false,
      { code: 'LEADS_TO_OTHER', node: 3 },
      'of node 3 in the list of nodes, host3:7170, leads to node 2',
    ],
    ['a second process of this id there', refused('OWN_ID', by(1)), false, { code: 'TWO_PROCESSES', node: 1 }, 'it answers at host3:7170'],
    [
      'a first process of this id',
      refused('OTHER_PROCESS', by(3), 'node 1 runs already'),
      true,
      { code: 'TWO_PROCESSES', node: 1 },
      'node 3 says: node 1 runs already',
    ],
    [
      'another list',
      refused('OTHER_NODES', by(3), 'a list'),
      true,
      { code: 'REFUSED', node: 3 },
      'it refuses this node (OTHER_NODES): a list',
    ],
    ['a node that only reaches this one', GONE, true, { code: 'ONE_WAY', node: 3 }, 'cannot reach it at host3:7170: connection refused'],
    ['a node that is gone', GONE, false, { code: 'UNREACHABLE', node: 3 }, 'host3:7170: connection refused'],
    ['a node that has not joined', { kind: 'notJoined' }, true, { code: 'NOT_JOINED', node: 3 }, 'does not belong to the cluster yet'],
  ])('%s', (_what, fault, isHeard, cause, text) => {
    expect(causesOf(OWN, [link(2), down(3, fault, isHeard)])).toEqual([{ ...cause, sentence: expect.stringContaining(text) }]);
  });

  test('two processes of another node, with one directory or with two', () => {
    const one = { process: 'x', instance: '1'.repeat(16), at: 'host2:7170' };
    const rivalsOf = (instance: string) => causesOf(OWN, [link(2, { rivals: [one, { process: 'y', instance, at: '10.0.0.9' }] })]);
    expect(rivalsOf(one.instance)).toMatchObject([
      { code: 'TWO_PROCESSES', node: 2, sentence: expect.stringContaining('copies of one data directory') },
    ]);
    expect(rivalsOf('2'.repeat(16))).toMatchObject([
      { sentence: expect.stringContaining('at host2:7170 and at 10.0.0.9, each with a data directory of its own') },
    ]);
  });

  test('a node that listens on loopback only, while others are on other machines', () => {
    const own = { ...OWN, listensOn: '127.0.1.1' };
    const unheard = (id: number): LinkView => link(id, { remoteAddress: `10.0.0.${id}`, isHeard: false });
    expect(causesOf(own, [unheard(2), unheard(3)])[0]).toMatchObject({ code: 'LISTENS_ON_LOOPBACK', node: 1 });
    // A tunnel, or a forwarded port: it is reached all the same.
    expect(causesOf(own, [link(2, { remoteAddress: '10.0.0.2' }), unheard(3)])).toMatchObject([{ code: 'ONE_WAY', node: 3 }]);
    expect(causesOf(own, [link(2, { remoteAddress: '127.0.0.1' }), link(3, { remoteAddress: '::1' })])).toEqual([]);
    expect(causesOf(OWN, [unheard(2)])).toMatchObject([{ code: 'ONE_WAY' }]);
  });

  test('a node that this one reaches, and that does not reach it', () => {
    expect(causesOf(OWN, [link(2), link(3, { isHeard: false })])).toMatchObject([
      { code: 'ONE_WAY', node: 3, sentence: expect.stringContaining('node 3 does not reach this one') },
    ]);
  });

  test('that another process is heard as this node is said of it, and of whoever says so; of silence only where it is silent', () => {
    const sentenceOf = (isSilent: boolean): string | undefined =>
      causesOf({ ...OWN, isSilent }, [link(2), down(3, refused('OTHER_PROCESS', by(3)))])[0]?.sentence;
    for (const isSilent of [false, true]) {
      expect(sentenceOf(isSilent)).toContain('or node 3 has a wrong address of node 1 in its list of nodes');
      expect(sentenceOf(isSilent)?.includes('stays silent')).toBe(isSilent);
    }
  });

  test('that several nodes say of this one is said once', () => {
    expect(
      causesOf(
        OWN,
        [2, 3].map((id) => down(id, refused('OTHER_PROCESS', by(id)))),
      ),
    ).toHaveLength(1);
  });
});

describe('why there is no leader', () => {
  test('is not known while all nodes talk: an election may be under way', () => {
    expect(whyNoLeader([], 3, 3)).toBe('');
    expect(whyNoLeader([], 1, 3)).toBe('it talks to 1 of 3 nodes, itself included, and a leader needs 2');
  });

  test('says of how many nodes it hears, of how many a leader needs, and what keeps the others away', () => {
    const found = causesOf(
      OWN,
      [2, 3, 4].map((id) => down(id, GONE)),
    );
    const why = whyNoLeader(found, 2, 5);
    expect(why).toContain('it talks to 2 of 5 nodes, itself included, and a leader needs 3');
    for (const id of [2, 3, 4]) expect(why).toContain(`host${id}:7170: connection refused`);
  });

  test('has a bound, also in a sentence that another node made up', () => {
    const found: Cause[] = [2, 3].map((node) => ({ code: 'REFUSED', node, sentence: 'é'.repeat(MAX_WHY_BYTES) }));
    expect(new TextEncoder().encode(whyNoLeader(found, 1, 3)).length).toBeLessThanOrEqual(MAX_WHY_BYTES);
  });
});

describe('the watch', () => {
  test('tells when something changes, logs mistakes at most once a minute, and a lack of a leader with its reasons', () => {
    let [nowMs, links, leader] = [0, [link(2), link(3)], 2];
    const told: (readonly Cause[])[] = [];
    const logged: string[] = [];
    const watch = new CauseWatch({
      own: () => OWN,
      links: () => links,
      voters: () => [1, 2, 3],
      leader: () => leader,
      nowMs: () => nowMs,
      log: (text) => logged.push(text),
      tell: (found) => told.push(found),
    });
    watch.look();
    links = [link(2), down(3, refused('WRONG_NODE', by(2)))];
    for (nowMs = 0; nowMs <= SAY_AGAIN_MS; nowMs += SAY_AGAIN_MS / 4) watch.look();
    expect(told.slice(1)).toMatchObject([[{ code: 'LEADS_TO_OTHER' }]]);
    expect(logged).toHaveLength(2);
    links = [link(2), down(3, GONE)];
    watch.look();
    expect([told.at(-1)?.[0]?.code, logged.length]).toEqual(['UNREACHABLE', 2]);
    leader = 0;
    watch.setTooFewVoters('nobody can be elected');
    watch.look();
    watch.lacksLeader();
    expect(told.at(-1)?.map(({ code }) => code)).toEqual(['TOO_FEW_VOTERS', 'UNREACHABLE']);
    expect(logged.slice(2)).toEqual(['nobody can be elected', 'no leader is known: nobody can be elected']);
    leader = 2;
    watch.look();
    expect(told.at(-1)?.map(({ code }) => code)).toEqual(['UNREACHABLE']);
  });

  test('counts those that count for majorities, where others are only fed', () => {
    const whys: string[] = [];
    const watch = new CauseWatch({
      own: () => OWN,
      links: () => [down(2, GONE), down(3, GONE), link(4), link(5)],
      voters: () => [1, 2, 3],
      leader: () => 0,
      nowMs: () => 0,
      log: () => undefined,
      tell: (_, why) => whys.push(why),
    });
    watch.look();
    expect(whys).toEqual([
      expect.stringMatching(/^it talks to 1 of 3 voters, itself included, and a leader needs 2: node 2 cannot be reached/),
    ]);
  });

  test('knows no causes but those of the list', () => {
    expect(new Set(CAUSES).size).toBe(CAUSES.length);
  });
});
