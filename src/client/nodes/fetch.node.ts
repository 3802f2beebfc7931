// `fetch` with certificates of one's own, which the platform's does not take.

import { request } from 'node:https';
import { Readable } from 'node:stream';
import { type Fetch, type Fetches, PLAIN_FETCHES, type TlsOptions, type TlsSource } from './tls.ts';

/** The options of Node's `tls.connect`. */
export function nodeTls({ ca, cert, key, servername }: TlsOptions): Readonly<Record<string, string | Buffer | Buffer[]>> {
  const buffer = (pem: string | Uint8Array): Buffer => Buffer.from(pem as Uint8Array);
  const authorities = ca === undefined ? undefined : Array.isArray(ca) ? ca.map(buffer) : [buffer(ca as string)];
  return {
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(cert === undefined || key === undefined ? {} : { cert: buffer(cert), key: buffer(key) }),
    ...(servername === undefined ? {} : { servername }),
  };
}

/** Statuses whose answers have no body (Fetch, 2.2.3). */
const BODILESS = [204, 205, 304];

/** With certificates of the program's own, or as the platform does. */
export function fetchesOf(tls: TlsSource | undefined): Fetches {
  return tls === undefined ? PLAIN_FETCHES : secureFetches(tls);
}

/** To nodes with the client's certificate; to others, who need not know of it, without. */
export function secureFetches(tls: TlsSource): Fetches {
  return {
    nodes: secureFetch(tls),
    others: secureFetch(() => {
      const { ca, servername } = tls();
      return { ca, servername };
    }),
  };
}

function secureFetch(tls: TlsSource): Fetch {
  return (url, { headers, signal }) => {
    if (!url.startsWith('https:')) return fetch(url, { headers, signal });
    return new Promise((resolve, reject) => {
      const asked = request(url, { headers, signal, agent: false, ...nodeTls(tls()) }, (answer) => {
        const status = answer.statusCode ?? 0;
        const hasBody = !BODILESS.includes(status);
        if (!hasBody) answer.resume();
        const body = hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null;
        const pairs = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
          values.map((value): [string, string] => [name, value]),
        );
        resolve(new Response(body, { status, headers: pairs }));
      });
      asked.on('error', reject);
      asked.end();
    });
  };
}
