// Sealed segments over HTTP, as a played node, or a cache in front of one, serves them.

import { createHash } from 'node:crypto';

const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What a node says of its sealed segments. */
function listOf({ log, cluster, generation, commit }) {
  const segments = log.segments.map(({ base, end }) => ({
    base,
    end,
    url: `/log/${cluster}/${base}-${end}`,
    digest: digestOf(log.bytesOf({ base, end })),
  }));
  return { clusterId: cluster, generation, start: log.start, commit, segments, later: 'versions may say more' };
}

/** Answers GET and HEAD. Notes the paths, and whether a token was shown. */
export function serveSegments(node, { method, url, headers }, response) {
  const { pathname } = new URL(url, 'http://x');
  node.paths.push(pathname);
  if (headers.authorization !== undefined) node.sawToken = true;
  if (method !== 'GET' && method !== 'HEAD') node.fault(`a client asks with GET or HEAD, not ${method}`);
  if (node.token !== undefined && headers.authorization !== `Bearer ${node.token}`) return response.writeHead(401).end();
  const list = listOf(node);
  if (pathname === `/log/${node.cluster}/segments`) {
    response.setHeader('content-type', 'application/json').setHeader('cache-control', 'no-store');
    return response.end(JSON.stringify(list));
  }
  const segment = list.segments.find((each) => each.url === pathname);
  if (segment === undefined) return response.writeHead(404).end();
  return serveSegment(node, segment, headers, response);
}

function serveSegment(node, segment, headers, response) {
  const whole = node.log.bytesOf(segment);
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  const to = range?.[2] ? Math.min(Number(range[2]) + 1, whole.length) : whole.length;
  if (from >= whole.length) return response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
  const part = Buffer.from(whole.subarray(from, to));
  response.writeHead(range === null ? 200 : 206, {
    etag: `"${segment.digest}"`,
    'accept-ranges': 'bytes',
    'content-length': part.length,
    'content-type': 'application/octet-stream',
    ...(range === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${whole.length}` }),
  });
  return response.end(part);
}
