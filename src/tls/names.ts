// What a certificate says of whom it is for: `loglog://<cluster id>/<node id>` for a node, `loglog://<cluster id>/client/<name>` for a client, each
// a URI among its alternative names (RFC 5280, 4.2.1.6), beside names and addresses of the machine.

import type { X509Certificate } from 'node:crypto';
import { LogError } from '../core/errors.ts';
import { MAX_NODE_ID } from '../core/limits.ts';

/** Whom a certificate of `loglog tls` is for. */
export type Holder =
  | { readonly kind: 'node'; readonly clusterId: string; readonly nodeId: number }
  | { readonly kind: 'client'; readonly clusterId: string; readonly name: string }
  | { readonly kind: 'authority'; readonly clusterId: string };

const URI = /^loglog:\/\/([0-9a-f]{32})(?:\/(?:([1-9]\d?)|client\/([A-Za-z0-9][\w.-]{0,63})))?$/;
const CLUSTER_ID = /^[0-9a-f]{32}$/;
const CLIENT_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** Whether `text` can be the id of a cluster: 32 hexadecimal digits, not all 0. */
export function isClusterId(text: string): boolean {
  return CLUSTER_ID.test(text) && !/^0+$/.test(text);
}

/** Whether `text` can be a client's name in a certificate, and in the name of its file. */
export function isClientName(text: string): boolean {
  return CLIENT_NAME.test(text);
}

export function uriOf(holder: Holder): string {
  const authority = `loglog://${holder.clusterId}`;
  if (holder.kind === 'node') return `${authority}/${holder.nodeId}`;
  return holder.kind === 'client' ? `${authority}/client/${holder.name}` : authority;
}

/** What a URI says; undefined where it is none of these. */
export function holderOf(uri: string): Holder | undefined {
  const [whole, clusterId = '', node, name] = URI.exec(uri) ?? [];
  if (whole === undefined || !isClusterId(clusterId)) return undefined;
  if (name !== undefined) return { kind: 'client', clusterId, name };
  if (node === undefined) return { kind: 'authority', clusterId };
  const nodeId = Number(node);
  return nodeId <= MAX_NODE_ID ? { kind: 'node', clusterId, nodeId } : undefined;
}

/** One alternative name: `DNS`, `URI`, `IP Address`, `email`, … and its value. */
export interface AlternativeName {
  readonly type: string;
  readonly value: string;
}

/** A value that has characters by which it could look like several stands in quotation marks, as JSON (CVE-2021-44532). */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;

/** The alternative names in the text that Node makes of them; none where a part is not understood: who guesses could be made to see a name that is none. */
export function alternativeNames(text: string | undefined): readonly AlternativeName[] {
  const names: AlternativeName[] = [];
  if (text === undefined) return names;
  NAME.lastIndex = 0;
  while (NAME.lastIndex < text.length) {
    const [whole, type = '', value = ''] = NAME.exec(text) ?? [];
    if (whole === undefined) return [];
    names.push({ type, value: value.startsWith('"') ? String(JSON.parse(value)) : value });
  }
  return names;
}

/** Whom a certificate is for, by its URIs: undefined where none is one of LogLog's, or several are. */
export function holderOfCertificate(certificate: Pick<X509Certificate, 'subjectAltName'>): Holder | undefined {
  const uris = alternativeNames(certificate.subjectAltName).filter(({ type }) => type === 'URI');
  const holders = uris.map(({ value }) => holderOf(value)).filter((holder) => holder !== undefined);
  return holders.length === 1 ? holders[0] : undefined;
}

/** A node of `--nodes`: its id, and the names and addresses under which it is reached. */
export interface NamedNode {
  readonly nodeId: number;
  readonly hosts: readonly string[];
}

/** The form of one node, for help and errors. */
export const NODE_FORM = 'ID@HOST[/HOST...]';

/** Whether `text` is a name or an address as it stands in a certificate; IPv6 without brackets. */
function isHost(text: string): boolean {
  return text.includes(':')
    ? URL.canParse(`ws://[${text}]`)
    : /^[\w*][\w.*-]*$/.test(text) && URL.canParse(`ws://${text.replace('*', 'x')}`);
}

/** Reads `1@a.example.com/10.0.0.1`. Throws a LogError `USAGE`; `called` is what the option is called. */
export function parseNamedNode(text: string, called: string): NamedNode {
  const [, id = '', rest = ''] = /^(\d{1,2})@(.+)$/.exec(text.trim()) ?? [];
  const hosts = rest.split('/').map((host) => host.replace(/^\[(.*)\]$/, '$1'));
  const nodeId = Number(id);
  if (id === '' || nodeId < 1 || nodeId > MAX_NODE_ID || !hosts.every(isHost)) {
    throw new LogError(
      'USAGE',
      `${called} takes ${NODE_FORM}, such as 1@a.example.com or 1@a/10.0.0.1, where ID is from 1 to ${MAX_NODE_ID}, not ${JSON.stringify(text)}`,
    );
  }
  return { nodeId, hosts };
}
