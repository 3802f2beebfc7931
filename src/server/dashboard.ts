// The page that shows a node and its cluster to people. It is one file, made by the build, with no facts in it.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { HttpAnswer } from './acceptor.ts';

/** Tests run the sources, and show what was built. */
const PAGE = new URL(import.meta.url.endsWith('.ts') ? '../../dist/src/dashboard/page.html' : '../dashboard/page.html', import.meta.url);

const hashesOf = (page: string, tag: string): string =>
  [...page.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))]
    .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    .join(' ');

/**
 * What the page may do: run its own script and the client's WebAssembly, and nothing that came with an entry; and talk to nodes, which may be anywhere, and
 * whose addresses are not for everybody who gets the page.
 */
function policyOf(page: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashesOf(page, 'script')} 'wasm-unsafe-eval'`,
    `style-src ${hashesOf(page, 'style')}`,
    'img-src data:',
    "connect-src 'self' http: https: ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
}

let made: HttpAnswer | undefined;

/** The answer to GET /. It is read once. */
export function dashboard(): HttpAnswer {
  made ??= read();
  return made;
}

function read(): HttpAnswer {
  const page = readFileSync(PAGE, 'utf8');
  const headers = {
    'content-security-policy': policyOf(page),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
  return { status: 200, type: 'text/html; charset=utf-8', body: page, headers };
}
