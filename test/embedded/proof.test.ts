// What the nodes of a cluster prove to each other is changed in its files while clients append: nothing stops, and nothing is lost.

import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import type { EmbeddedLog, OpenOptions } from '../../dist/src/index.js';
import { type Authority, issueCertificate, makeAuthority } from '../../dist/src/tls/authority.js';
import { directory, open } from './support.ts';

const NODES = [1, 2, 3] as const;
const CLUSTER = 'c'.repeat(32);

interface Member {
  readonly log: EmbeddedLog;
  readonly files: string;
  readonly lines: string[];
}

/** Three members in this process, each with files of its own in a directory that `fill` fills. */
async function openCluster(fill: (files: string, node: number) => Promise<Partial<OpenOptions>>): Promise<Member[]> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  return Promise.all(
    NODES.map(async (node) => {
      const dir = directory();
      const files = join(dir, '..', 'files');
      mkdirSync(files);
      const lines: string[] = [];
      const options = await fill(files, node);
      return { log: await open({ dir, node, peers, ...options, log: (_level, text) => lines.push(text) }), files, lines };
    }),
  );
}

function write(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

/** Waits for one more line with `text` than `before`. */
async function said({ lines }: Member, text: string, before = 0): Promise<void> {
  await expect.poll(() => lines.filter((line) => line.includes(text)).length, { interval: 20 }).toBeGreaterThan(before);
}

/** Appends by all members until it is told to stop; returns how many were acknowledged, and what was not. */
function load(members: readonly Member[]): () => Promise<{ appended: number; failures: unknown[] }> {
  let isOver = false;
  let appended = 0;
  const failures: unknown[] = [];
  const loops = members.map(async ({ log }) => {
    while (!isOver) {
      await log.append(randomBytes(500)).then(
        () => {
          appended += 1;
        },
        (error: unknown) => failures.push(error),
      );
    }
  });
  const stop = (): void => {
    isOver = true;
  };
  onTestFinished(stop);
  return async () => {
    stop();
    await Promise.all(loops);
    return { appended, failures };
  };
}

/** Does `step` to each member's files; each says that it has them, and all appends go on. */
async function change(members: readonly Member[], step: (member: Member, node: number) => Promise<void> | void): Promise<void> {
  for (const [i, member] of members.entries()) {
    const before = member.lines.filter((line) => line.includes('nodes prove themselves by')).length;
    await step(member, i + 1);
    await said(member, 'nodes prove themselves by', before);
    await members[(i + 1) % 3]?.log.append('between');
  }
}

it('the secret of a cluster is changed in three files while clients append', async () => {
  const [older, newer] = [randomBytes(32).toString('hex'), randomBytes(32).toString('base64')];
  const members = await openCluster(async (files) => {
    write(join(files, 'secret'), `${older}\n`);
    return { peerSecretFile: join(files, 'secret') };
  });
  const stop = load(members);
  const [first] = members as [Member];
  writeFileSync(join(first.files, 'secret'), `${older}\n${newer.slice(0, 20)}`);
  await said(first, 'what nodes proved themselves by before stays in force');
  await change(members, ({ files }) => write(join(files, 'secret'), `${older}\n${newer}\n`));
  expect(members.flatMap(({ lines }) => lines.filter((line) => line.includes('is down')))).toEqual([]);
  await change(members, ({ files }) => write(join(files, 'secret'), `${newer}\n`));
  const { appended, failures } = await stop();
  expect(failures).toEqual([]);
  expect(appended).toBeGreaterThan(0);
  const ends = await Promise.all(members.map(({ log }) => log.end({ linearizable: true })));
  expect(new Set(ends.map(({ end }) => end)).size).toBe(1);
});

it('the authority of a cluster is changed, and its cluster has the id that its certificates name', async () => {
  const [before, after] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
  const both = before.certificate + after.certificate;
  const certify = async (files: string, node: number, by: Authority): Promise<void> => {
    const { certificate, key } = await issueCertificate(by, { kind: 'node', clusterId: CLUSTER, nodeId: node }, ['127.0.0.1']);
    // One after the other: for a moment they do not belong together.
    write(join(files, 'key'), key);
    write(join(files, 'cert'), certificate);
  };
  const members = await openCluster(async (files, node) => {
    write(join(files, 'ca'), before.certificate);
    await certify(files, node, before);
    return { peerCa: join(files, 'ca'), peerCert: join(files, 'cert'), peerKey: join(files, 'key') };
  });
  expect(new Set(members.map(({ log }) => log.clusterId))).toEqual(new Set([CLUSTER]));
  const stop = load(members);
  await change(members, ({ files }) => write(join(files, 'ca'), both));
  await change(members, ({ files }, node) => certify(files, node, after));
  expect(members.flatMap(({ lines }) => lines.filter((line) => line.includes('is down')))).toEqual([]);
  await change(members, ({ files }) => write(join(files, 'ca'), after.certificate));
  const { failures } = await stop();
  expect(failures).toEqual([]);
});
