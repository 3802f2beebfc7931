// What a node that others reach has to have, so that they are not let in unseen.

import type { Config } from './config.ts';
import { LogError } from './errors.ts';
import type { OptionName } from './options.ts';
import { isLoopback } from './peers.ts';

/** Where a node listens, and what says who comes there. */
export interface Exposure {
  /** Others than this machine reach its port for clients. */
  readonly areClientsOutside: boolean;
  readonly hasTls: boolean;
  /** Clients have to show a token, or a certificate. */
  readonly hasClientProof: boolean;
  /** Others than this machine reach its port for the other nodes; false where there is none. */
  readonly arePeersOutside: boolean;
  /** The other nodes have to prove that they are of the cluster. */
  readonly hasPeerProof: boolean;
}

/** How a node with `config` stands. A mirror has no other nodes. */
export function exposureOf(config: Config, isMirror: boolean): Exposure {
  const { host, peers, peerHost, tlsCert, tlsClientCa, tokens, peerSecretFile, peerCa } = config;
  return {
    areClientsOutside: !isLoopback(host),
    hasTls: tlsCert !== '',
    hasClientProof: tokens || tlsClientCa !== '',
    arePeersOutside: !isMirror && peers.length > 0 && !isLoopback(peerHost),
    hasPeerProof: peerSecretFile !== '' || peerCa !== '',
  };
}

/** What is missing, each as what to type for it; nothing: the node may stand where it stands. */
export function missingProofs(exposure: Exposure, callOf: (name: OptionName) => string): readonly string[] {
  const { areClientsOutside, hasTls, hasClientProof, arePeersOutside, hasPeerProof } = exposure;
  const missing: string[] = [];
  if (areClientsOutside && !hasTls) missing.push(`${callOf('tlsCert')} FILE and ${callOf('tlsKey')} FILE, so that nobody reads along`);
  if (areClientsOutside && !hasClientProof)
    missing.push(`${callOf('tokens')} or ${callOf('tlsClientCa')} FILE, so that clients say who they are`);
  if (arePeersOutside && !hasPeerProof)
    missing.push(`${callOf('peerSecretFile')} FILE or ${callOf('peerCa')} FILE, so that no stranger is one of the nodes`);
  return missing;
}

/**
 * What a node says, in every line in which it says that it runs, where others reach it and nothing says who they are; empty: there is nothing to say. Throws a
 * LogError `USAGE` where it was not to.
 */
export function openSentence(config: Config, isMirror: boolean): string {
  const { insecure, callOf } = config;
  const exposure = exposureOf(config, isMirror);
  const missing = missingProofs(exposure, callOf);
  if (missing.length === 0) return '';
  // Made here: the first one of a process loads the rules of languages, which takes as long as a quarter of all of the node's modules.
  const all = new Intl.ListFormat('en', { type: 'conjunction' }).format(missing);
  const host = exposure.areClientsOutside ? config.host : config.peerHost;
  if (insecure) return `${callOf('insecure')}: whoever reaches this node at ${host} may do everything: it has not ${all}`;
  throw new LogError(
    'USAGE',
    `others than this machine reach this node at ${host}, so it does not start without ${all}: loglog tls init makes certificates. Or listen on 127.0.0.1; or, if whoever reaches it may read, append and remove everything, say so with ${callOf('insecure')}`,
  );
}
