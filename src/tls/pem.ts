// Certificates in PEM, as they stand in a file, whole. OpenSSL passes over what is not, without a word: of a file that is being written an authority would be
// gone, and with it whoever it stands for.

import { X509Certificate } from 'node:crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Whatever is whole in PEM; an encrypted key has lines with dashes. */
const WHOLE = /-----BEGIN ([^-\n]+)-----(?:(?!-----BEGIN )[\s\S])+?-----END \1-----/g;
/** What is left of what is not: a line that begins a block, or ends one, or its rest; or the beginning of such a line, where the file ends. Other lines are comments. */
const PART = /(?:^|\n)-----(?:BEGIN|END)\b|CERTIFICATE-----|(?:^|\n)(?:-{1,5}|-----[BE][A-Z]{0,4})$/;

/** The certificates in `text`, at least one. Throws an Error with a sentence's middle, which says `what` has none, or one that is not whole or not valid. */
export function certificatesOf(text: string, what: string): readonly X509Certificate[] {
  const found = text.match(CERTIFICATE) ?? [];
  if (PART.test(text.replaceAll(WHOLE, ''))) {
    const others =
      found.length === 0
        ? 'no certificate that is whole'
        : `a certificate that is not whole, besides ${found.length} other${found.length === 1 ? '' : 's'}`;
    throw new Error(`${what} has ${others}: it may be half written`);
  }
  if (found.length === 0) throw new Error(`${what} has no certificate in PEM`);
  return found.map((pem) => {
    try {
      return new X509Certificate(pem);
    } catch (thrown) {
      throw new Error(`${what} has a certificate that cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  });
}
