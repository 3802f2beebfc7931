// The files that nodes prove themselves by: read at the start, and again when they change or when somebody says so. What cannot be used leaves in
// force what was there before, and is said.

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config, OptionName } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { openSecret } from '../core/secrets.ts';
import { type PeerProof, type ProofTexts, proofOf } from '../peers/peerProof.ts';
import type { EngineLog } from './engineOptions.ts';
import { FileWatch } from './fileWatch.ts';

export type PeerFileOptions = Pick<Config, 'peerSecretFile' | 'peerCa' | 'peerCert' | 'peerKey' | 'node' | 'callOf'>;

/** Reads a file that nobody else may read. Throws an Error with a sentence. */
function readSecret(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const fault = openSecret(file, fstatSync(descriptor), process.getuid?.());
    if (fault !== undefined) throw new TypeError(fault);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

function described(proof: PeerProof): string {
  if (proof.kind === 'certificate') return 'new certificates';
  return proof.secrets.length === 1 ? 'a new secret' : `${proof.secrets.length} secrets`;
}

export class PeerFiles {
  readonly #options: PeerFileOptions;
  readonly #files: readonly string[];
  readonly #log: EngineLog;
  readonly #watch: FileWatch;
  #proof: PeerProof;
  #read: string;
  #fault = '';
  #clusterId: string | undefined;
  /** Told each proof that takes the place of the one before. */
  changed: (proof: PeerProof) => void = () => undefined;

  /** Undefined: there are no such files. Throws a LogError `USAGE` for what cannot be used, or is that of another node. */
  static open(options: PeerFileOptions, log: EngineLog): PeerFiles | undefined {
    const { peerSecretFile, peerCa } = options;
    return peerSecretFile === '' && peerCa === '' ? undefined : new PeerFiles(options, log);
  }

  private constructor(options: PeerFileOptions, log: EngineLog) {
    const { peerSecretFile, peerCa, peerCert, peerKey } = options;
    this.#options = options;
    this.#log = log;
    this.#files = (peerSecretFile === '' ? [peerCa, peerCert, peerKey] : [peerSecretFile]).map((file) => resolve(file));
    const texts = this.#texts();
    this.#read = JSON.stringify(texts);
    this.#proof = this.#proofOf(texts);
    this.#watch = new FileWatch(this.#files, () => this.reload());
  }

  get proof(): PeerProof {
    return this.#proof;
  }

  /** This node belongs to that cluster: its certificate must be for it. Throws a LogError `USAGE`. */
  belongsTo(clusterId: string): void {
    this.#clusterId = clusterId;
    this.#check(this.#proof);
  }

  /** The cluster that its certificate is for; undefined: it has none. */
  get certifiedCluster(): string | undefined {
    return this.#proof.kind === 'certificate' ? this.#proof.self.clusterId : undefined;
  }

  /** Reads the files again. Throws nothing: what cannot be used is logged once, and what was there before stays. */
  reload(): void {
    try {
      const texts = this.#texts();
      const read = JSON.stringify(texts);
      this.#fault = '';
      if (read === this.#read) return;
      const proof = this.#proofOf(texts);
      this.#read = read;
      this.#proof = proof;
      this.changed(proof);
      this.#log.info(`nodes prove themselves by ${described(proof)} from now on, read from ${this.#files.join(', ')}`);
    } catch (thrown) {
      const fault = thrown instanceof Error ? thrown.message : String(thrown);
      if (fault === this.#fault) return;
      this.#fault = fault;
      this.#log.warn(`${fault}; what was there before stays in force`);
    }
  }

  close(): void {
    this.#watch.close();
  }

  #texts(): ProofTexts {
    const { peerSecretFile, peerCa, peerCert, peerKey, callOf } = this.#options;
    const read = (file: string, name: OptionName, reader: (file: string) => string): string => {
      try {
        return reader(file);
      } catch (thrown) {
        throw new LogError('USAGE', `${callOf(name)} ${file} cannot be used: ${(thrown as Error).message}`);
      }
    };
    const readOpen = (file: string): string => readFileSync(file, 'utf8');
    if (peerSecretFile !== '') return { kind: 'secret', secret: read(peerSecretFile, 'peerSecretFile', readSecret) };
    return {
      kind: 'certificate',
      ca: read(peerCa, 'peerCa', readOpen),
      cert: read(peerCert, 'peerCert', readOpen),
      key: read(peerKey, 'peerKey', readSecret),
    };
  }

  /** Throws a LogError `USAGE`. */
  #proofOf(texts: ProofTexts): PeerProof {
    const { callOf } = this.#options;
    const called = texts.kind === 'secret' ? callOf('peerSecretFile') : callOf('peerCert');
    let proof: PeerProof;
    try {
      proof = proofOf(texts);
    } catch (thrown) {
      throw new LogError('USAGE', `${called} ${this.#files.join(', ')} cannot be used: ${(thrown as Error).message}`);
    }
    this.#check(proof);
    return proof;
  }

  /** Throws a LogError `USAGE` for a certificate of another node. */
  #check(proof: PeerProof): void {
    if (proof.kind === 'secret') return;
    const { callOf, node } = this.#options;
    const { self } = proof;
    const called = callOf('peerCert');
    const clusterId = this.#clusterId ?? self.clusterId;
    if (self.node !== node) throw new LogError('USAGE', `${called} is the certificate of node ${self.node}, and this is node ${node}`);
    if (self.clusterId !== clusterId) {
      throw new LogError(
        'USAGE',
        `${called} is a certificate for cluster ${self.clusterId}, and this node belongs to cluster ${clusterId}`,
      );
    }
  }
}
