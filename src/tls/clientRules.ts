// Which client certificates may do what: a file of rules, one a line.
//
//   # name          scopes
//   billing         read,append
//   *.example.com   read
//   ops@*           admin
//   mallory         none
//
// The first line that fits one of a certificate's names decides; where none does, the certificate has no rights. The names are those of its client URI
// (loglog://<cluster>/client/<name>), its common name, and its DNS names and mail addresses.

import type { X509Certificate } from 'node:crypto';
import { effectiveScopes, type Identity, NO_QUOTAS, scopesFrom } from '../core/access.ts';
import { MAX_CLIENT_RULES } from '../core/accessLimits.ts';
import { alternativeNames, type Holder, holderOf } from './names.ts';

interface Rule {
  readonly pattern: string;
  readonly fits: RegExp;
  /** Bits; 0: none. */
  readonly scopes: number;
}

/** What of a certificate is looked at. */
export type NamedCertificate = Pick<X509Certificate, 'subject' | 'subjectAltName' | 'validTo' | 'fingerprint256'>;

const NAME = /^[!-~]+$/;
/** Of a certificate's fingerprint, in its id. */
const ID_DIGITS = 16;

function fitting(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
}

/** The rules in a file's text. Clients of another cluster than `clusterId`, if it is known, fit none. Throws an Error that names `file` and the line. */
export function parseClientRules(text: string, file: string, clusterId?: string): ClientRules {
  const rules: Rule[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const [pattern = '', names = '', ...more] = words;
    const scopes = names === 'none' ? 0 : scopesFrom(names.split(','));
    if (scopes === undefined || more.length > 0 || !NAME.test(pattern)) {
      throw new Error(`line ${i + 1} of ${file} is no rule: it must be a name and its scopes, such as  billing read,append`);
    }
    if (rules.length === MAX_CLIENT_RULES) throw new Error(`${file} has more than ${MAX_CLIENT_RULES} rules`);
    rules.push({ pattern, fits: fitting(pattern), scopes });
  }
  if (rules.length === 0)
    throw new Error(`${file} has no rule: it may be half written; where no certificate is to allow anything, write  * none`);
  return new ClientRules(rules, clusterId);
}

/** The common names in a subject as Node shows it, a line for each part. */
function commonNames(subject: string): string[] {
  return (subject ?? '').split('\n').flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
}

/** Names by which a certificate may be in a rule, the surest first; none of a node's certificate, which is no client's, nor of a client's of another cluster. */
export function namesOfClient(
  { subject, subjectAltName }: Pick<NamedCertificate, 'subject' | 'subjectAltName'>,
  clusterId?: string,
): readonly string[] {
  const alternatives = alternativeNames(subjectAltName);
  const holders = alternatives.flatMap(({ type, value }) => (type === 'URI' ? [holderOf(value)] : []));
  const isOurs = (holder: Holder): boolean => holder.kind === 'client' && (clusterId === undefined || holder.clusterId === clusterId);
  if (holders.some((holder) => holder !== undefined && !isOurs(holder))) return [];
  const own = holders.flatMap((holder) => (holder?.kind === 'client' ? [holder.name] : []));
  const others = alternatives.flatMap(({ type, value }) => (type === 'DNS' || type === 'email' ? [value] : []));
  return [...new Set([...own, ...commonNames(subject), ...others])].filter((name) => NAME.test(name));
}

export class ClientRules {
  readonly #rules: readonly Rule[];
  readonly #clusterId: string | undefined;

  constructor(rules: readonly Rule[], clusterId: string | undefined) {
    this.#rules = rules;
    this.#clusterId = clusterId;
  }

  /** Bits of the scopes of who has `names`; 0: none. */
  scopesOf(names: readonly string[]): number {
    return this.#ruleFor(names)?.scopes ?? 0;
  }

  /** Who shows `certificate`, whose authority was checked, and all of its names; undefined: nobody who may do anything, or it has expired. */
  identityOf(certificate: NamedCertificate, nowMs: number): { readonly identity: Identity; readonly names: readonly string[] } | undefined {
    const names = namesOfClient(certificate, this.#clusterId);
    const expiresMs = Date.parse(certificate.validTo);
    const rule = this.#ruleFor(names);
    if (!(nowMs < expiresMs) || rule === undefined || rule.scopes === 0) return undefined;
    const name = names.find((one) => rule.fits.test(one)) ?? '';
    const id = `${name} ${certificate.fingerprint256.replaceAll(':', '').slice(0, ID_DIGITS).toLowerCase()}`;
    return { identity: { kind: 'certificate', id, name, scopes: effectiveScopes(rule.scopes), expiresMs, quotas: NO_QUOTAS }, names };
  }

  #ruleFor(names: readonly string[]): Rule | undefined {
    return this.#rules.find(({ fits }) => names.some((name) => fits.test(name)));
  }
}
