// The files that nodes prove themselves by: read at the start, and again when they change or when somebody says so. What cannot be used leaves in
// force what was there before, and is said.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { openSecret } from '../core/secrets.ts';
import { type PeerProof, proofOf } from '../peers/peerProof.ts';
import { checkTime, earliestEnd } from '../tls/listenerTls.ts';
import { certificatesOf } from '../tls/pem.ts';
import { WatchedFiles } from '../tls/watchedFiles.ts';
import type { CertificateStatus } from './door.ts';
import type { EngineLog } from './engineOptions.ts';

export type PeerFileOptions = Pick<Config, 'peerSecretFile' | 'peerCa' | 'peerCert' | 'peerKey' | 'node' | 'callOf'>;

/** Throws an Error, with a sentence, unless nobody else may use `file`. */
function checkMode(file: string): void {
  const fault = openSecret(file, statSync(file), process.getuid?.());
  if (fault !== undefined) throw new Error(fault);
}

function described(proof: PeerProof): string {
  if (proof.kind === 'certificate') return 'new certificates';
  return proof.secrets.length === 1 ? 'a new secret' : `${proof.secrets.length} secrets`;
}

export class PeerFiles {
  readonly #options: PeerFileOptions;
  readonly #files: WatchedFiles<PeerProof>;
  /** The cluster of this node, once it is known: its certificate must be for that. */
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
    const files = (peerSecretFile === '' ? [peerCa, peerCert, peerKey] : [peerSecretFile]).map((file) => resolve(file));
    this.#files = new WatchedFiles({
      files,
      read: (contents, before) => this.#read(files, contents, before),
      changed: (proof) => {
        this.changed(proof);
        log.info(`nodes prove themselves by ${described(proof)} from now on, read from ${files.join(', ')}`);
      },
      refused: (sentence) => log.error(`${sentence}; what nodes proved themselves by before stays in force`),
    });
    this.#files.watch();
  }

  get proof(): PeerProof {
    return this.#files.value;
  }

  /** When the certificates that nodes prove themselves by end; none where that is a secret. */
  get certificates(): readonly CertificateStatus[] {
    const { proof, fault } = this;
    if (proof.kind !== 'certificate') return [];
    const { callOf } = this.#options;
    const status = (use: CertificateStatus['use'], pem: string, called: string): CertificateStatus => ({
      use,
      notAfterMs: earliestEnd(certificatesOf(pem, called)),
      fault,
    });
    return [status('peer', proof.cert, callOf('peerCert')), status('peers', proof.ca, callOf('peerCa'))];
  }

  /** Why the files say something else now that is not taken; null: what they say is in force. */
  get fault(): string | null {
    return this.#files.fault ?? null;
  }

  /** This node belongs to that cluster: its certificate must be for it. Throws a LogError `USAGE`. */
  belongsTo(clusterId: string): void {
    this.#clusterId = clusterId;
    const sentence = this.#faultOf(this.proof);
    if (sentence !== undefined) throw new LogError('USAGE', sentence);
  }

  /** The cluster that its certificate is for; undefined: it has none. */
  get certifiedCluster(): string | undefined {
    return this.proof.kind === 'certificate' ? this.proof.self.clusterId : undefined;
  }

  /** Reads the files again. Throws nothing: what cannot be used is logged once, and what was there before stays. */
  reload(): void {
    this.#files.reload();
  }

  close(): void {
    this.#files.close();
  }

  /** Throws an Error with a sentence. */
  #read(files: readonly string[], [first = '', cert = '', key = '']: readonly string[], before: readonly string[] | undefined): PeerProof {
    const { callOf, peerSecretFile } = this.#options;
    const isSecret = peerSecretFile !== '';
    checkMode(files.at(-1) ?? '');
    let proof: PeerProof;
    try {
      proof = proofOf(isSecret ? { kind: 'secret', secret: first } : { kind: 'certificate', ca: first, cert, key });
    } catch (thrown) {
      const called = isSecret ? callOf('peerSecretFile') : [callOf('peerCa'), callOf('peerCert'), callOf('peerKey')].join(', ');
      throw new Error(`${called} (${files.join(', ')}) cannot be used: ${(thrown as Error).message}`);
    }
    const fault = this.#faultOf(proof);
    if (fault !== undefined) throw new Error(fault);
    // At a start there is nothing better, nor is the one in force, which is said to have ended, a reason to believe an authority that was taken out.
    const [own] = isSecret || before === undefined || before[1] === cert ? [] : certificatesOf(cert, callOf('peerCert'));
    if (own !== undefined) checkTime(own, files.at(1) ?? '', Date.now());
    return proof;
  }

  /** Why this node cannot prove itself by `proof`; undefined: it can. */
  #faultOf(proof: PeerProof): string | undefined {
    if (proof.kind === 'secret') return undefined;
    const { callOf, node } = this.#options;
    const { self } = proof;
    const clusterId = this.#clusterId ?? self.clusterId;
    if (self.node !== node) return `${callOf('peerCert')} is the certificate of node ${self.node}, and this is node ${node}`;
    if (self.clusterId === clusterId) return undefined;
    return `${callOf('peerCert')} is a certificate for cluster ${self.clusterId}, and this node belongs to cluster ${clusterId}`;
  }
}
