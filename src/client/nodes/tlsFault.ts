// What a fault of TLS means, and what to do: the words of OpenSSL say little to people.

const STRANGE_AUTHORITY = /^(UNABLE_TO_(VERIFY|GET_ISSUER)|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED)/;

/** Why a connection by TLS failed, to stand after an address; undefined: not for its certificate, nor for want of TLS. */
export function tlsFault({ code = '', message }: { readonly code?: string; readonly message: string }): string | undefined {
  if (STRANGE_AUTHORITY.test(code))
    return 'its certificate is by an authority that is not known here: name that one, in a command with --tls-ca FILE, in a program with tls: { ca }';
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet: look at the clocks of both machines';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for other names than that of the address (${message})`;
  if (/wrong version number|packet length too long/i.test(message)) return 'it speaks no TLS: its address may begin with ws: or http:';
  return undefined;
}
