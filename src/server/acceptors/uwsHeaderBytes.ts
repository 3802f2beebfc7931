// How much of a request's head uWebSockets.js takes. It reads this from the environment while it is loaded, so this file comes before it.

import { MAX_HTTP_HEAD_BYTES } from '../../core/limits.ts';

process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(MAX_HTTP_HEAD_BYTES);
