"""A client of LogLog in one file, for Python 3.10 and newer, with nothing but its standard library. It follows docs/PROTOCOL.md.

    from loglog_client import LogLog
    with LogLog("ws://127.0.0.1:7070") as log:
        offset, end = log.append([b"an entry"])
        for entry in log.subscribe(0):
            print(entry.offset, entry.payload)

It is made to be read: one call at a time, no threads. `python3 loglog_client.py ws://127.0.0.1:7070` follows a log.
examples/conformance is the suite that it passes.
"""

import base64, collections, hashlib, os, random, socket, ssl, struct, sys, time
from urllib.parse import urlsplit

APPEND, READ, SUBSCRIBE, CREDIT, CANCEL, END, INTRODUCE, AUTHENTICATE = 1, 2, 3, 4, 5, 6, 7, 9
HELLO, APPENDED, DATA, ENDED, ERROR, CANCELLED = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86
CODES = {1: "MALFORMED", 2: "UNKNOWN_OPCODE", 3: "BAD_CHECK", 4: "ENTRY_TOO_LARGE", 5: "BAD_KIND", 6: "WINDOW_EXCEEDED", 7: "CONDITION_FAILED",
         8: "OFFSET_TRIMMED", 9: "OFFSET_BEYOND_END", 10: "OFFSET_NOT_BOUNDARY", 11: "TOO_MANY_REQUESTS", 12: "OVERLOADED", 13: "SHUTTING_DOWN",
         14: "NOT_LEADER", 15: "DAMAGED", 16: "UNSUPPORTED", 17: "BEHIND", 18: "CHAIN_BROKEN", 19: "UNKNOWN_FLAGS", 20: "OTHER_VERSION",
         21: "UNAUTHENTICATED", 22: "FORBIDDEN", 23: "QUOTA_EXCEEDED", 29: "DISK_FULL", 31: "READ_ONLY", 32: "TOO_MANY_TOKENS",
         33: "TOKEN_REVOKED", 34: "TOKEN_EXPIRED", 36: "NOT_READY"}
# Refused, certainly not done, and worth another try, perhaps at another node.
AGAIN = {"OVERLOADED", "SHUTTING_DOWN", "NOT_LEADER", "DISK_FULL"}
CREDIT_BYTES = 1 << 20
SILENCE_SECONDS = 10

Entry = collections.namedtuple("Entry", "offset next_offset term payload")


class LogLogError(Exception):
    """`code` is a name of docs/ERRORS.md. `outcome`: "failed", it had no effect; "unknown", it may have happened."""

    def __init__(self, code, message, outcome="failed", offset=0, fatal=False, request=None):
        super().__init__(f"{code}: {message}")
        self.code, self.outcome, self.offset, self.fatal, self.request = code, outcome, offset, fatal, request


class Closed(Exception):
    """The connection has ended; `code` is that of its close frame, 1006 without one."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code


# XXH64 with seed 0.
_M = (1 << 64) - 1
_P1, _P2, _P3, _P4, _P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def _rotate(x, n):
    return ((x << n) | (x >> (64 - n))) & _M


def _round(acc, lane):
    return _rotate((acc + lane * _P2) & _M, 31) * _P1 & _M


def xxh64(data):
    at, size, h = 0, len(data), _P5
    if size >= 32:
        lanes = [(_P1 + _P2) & _M, _P2, 0, -_P1 & _M]
        while at + 32 <= size:
            lanes = [_round(acc, lane) for acc, lane in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = sum(_rotate(acc, n) for acc, n in zip(lanes, (1, 7, 12, 18))) & _M
        for acc in lanes:
            h = ((h ^ _round(0, acc)) * _P1 + _P4) & _M
    h = (h + size) & _M
    while at + 8 <= size:
        h = (_rotate(h ^ _round(0, struct.unpack_from("<Q", data, at)[0]), 27) * _P1 + _P4) & _M
        at += 8
    if at + 4 <= size:
        h = (_rotate(h ^ (struct.unpack_from("<I", data, at)[0] * _P1 & _M), 23) * _P2 + _P3) & _M
        at += 4
    for byte in data[at:]:
        h = _rotate(h ^ (byte * _P5 & _M), 11) * _P1 & _M
    h = (h ^ (h >> 33)) * _P2 & _M
    h = (h ^ (h >> 29)) * _P3 & _M
    return h ^ (h >> 32)


def frame(payloads):
    """Entries as a client sends them: one batch, which the log has all of or nothing of."""
    parts = []
    for i, payload in enumerate(payloads):
        more = 0x80000000 if i + 1 < len(payloads) else 0
        hashed = struct.pack("<I", len(payload) | more) + payload
        parts.append(b"\0\0\0\0" + hashed + struct.pack("<I", xxh64(hashed) & 0xFFFFFFFF))
    return b"".join(parts)


def entries_of(body, offset, term=1):
    """The entries in the body of a DATA, verified: (kind, Entry), those of the log itself too. Raises LogLogError DAMAGED."""
    at = 0
    while at < len(body):
        bad = LogLogError("DAMAGED", f"the entry at offset {offset + at} is not what was written")
        if at + 12 > len(body):
            raise bad
        entry_term, word = struct.unpack_from("<II", body, at)
        size, kind = word & 0xFFFFFF, (word >> 24) & 0x7F
        if entry_term < term or kind > 63 or at + 12 + size > len(body):
            raise bad
        place = ((((offset + at) ^ (entry_term * _P1 & _M)) * _P2) & _M) >> 32
        if struct.unpack_from("<I", body, at + 8 + size)[0] != (xxh64(body[at + 4 : at + 8 + size]) & 0xFFFFFFFF) ^ place:
            raise bad
        term = entry_term
        yield kind, Entry(offset + at, offset + at + 12 + size, term, body[at + 8 : at + 8 + size])
        at += 12 + size


class WebSocket:
    """As much of RFC 6455 as a client of one subprotocol needs: binary messages, fragments, pings, closes."""

    def __init__(self, url, token=None, cafile=None, timeout=SILENCE_SECONDS):
        at = urlsplit(url)
        if at.scheme not in ("ws", "wss") or at.hostname is None:
            raise ValueError(f"an address is like ws://127.0.0.1:7070, not {url}")
        self.buffer, self.code = bytearray(), None
        port = at.port or (443 if at.scheme == "wss" else 80)
        self.socket = socket.create_connection((at.hostname, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if at.scheme == "wss":
            self.socket = ssl.create_default_context(cafile=cafile).wrap_socket(self.socket, server_hostname=at.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"[{at.hostname}]" if ":" in at.hostname else at.hostname
        lines = [f"GET {at.path or '/'} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: loglog.v1"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > 65536:
                raise LogLogError("PROTOCOL", f"{url} does not speak HTTP")
            self._fill()
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        status, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if " 401" in status:
            raise LogLogError("UNAUTHENTICATED", f"{url} takes no such token")
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if " 101" not in status or headers.get("sec-websocket-accept") != accept or headers.get("sec-websocket-protocol") != "loglog.v1":
            raise LogLogError("PROTOCOL", f"{url} answers {status!r}, not as a LogLog node does")

    def _fill(self):
        try:
            chunk = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed(1006, str(error)) from None
        if not chunk:
            raise Closed(1006)
        self.buffer += chunk

    def _take(self, size):
        while len(self.buffer) < size:
            self._fill()
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def _frame(self, opcode, payload):
        size, mask = len(payload), os.urandom(4)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size)
        repeated = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
        try:
            self.socket.sendall(bytes([0x80 | opcode]) + length + mask + masked)
        except ConnectionError:
            pass  # What came before it is read all the same: it may say why.
        except OSError as error:
            raise Closed(1006, str(error)) from None

    def send(self, message):
        self._frame(2, message)

    def receive(self):
        """The next message. Raises Closed, and TimeoutError while nothing comes."""
        message, kind = b"", None
        while True:
            while len(self.buffer) < 2:
                self._fill()
            opcode, size, final = self.buffer[0] & 15, self.buffer[1] & 127, self.buffer[0] & 0x80
            head = 2 + {126: 2, 127: 8}.get(size, 0)
            while len(self.buffer) < head:
                self._fill()
            size = size if size < 126 else int.from_bytes(self.buffer[2:head], "big")
            # Nothing is taken before all of it is there: a time that runs out in between loses nothing.
            while len(self.buffer) < head + size:
                self._fill()
            payload = self._take(head + size)[head:]
            if opcode == 8:
                self._frame(8, payload[:2])
                code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise Closed(code, payload[2:].decode("utf-8", "replace"))
            if opcode == 9:
                self._frame(10, payload)
            elif opcode in (0, 1, 2):
                kind = opcode if opcode else kind
                message += payload
                if final:
                    if kind != 2:
                        raise Closed(1003, "a message that is not binary")
                    return message

    def close(self):
        try:
            self._frame(8, struct.pack(">H", 1000))
        except Closed:
            pass
        self.socket.close()


class Connection:
    """One connection to one node: its newest HELLO, requests, and answers by their ids."""

    def __init__(self, url, token=None, cafile=None):
        self.url, self.id, self.hello = url, 0, None
        self.socket = WebSocket(url, token, cafile)
        try:
            while self.hello is None or self.hello["role"] == 2:
                self.receive()
                if self.hello is not None and self.hello["role"] == 2:
                    if token is None:
                        raise LogLogError("UNAUTHENTICATED", f"{url} asks for a token")
                    self.request(AUTHENTICATE, body=token.encode("ascii"))
                    self.hello = None
            if self.hello["features"] & 2:
                name = b"loglog-python/0.1.0"
                self.request(INTRODUCE, a=1 | 1 << 16, body=struct.pack("<HH", len(name), 0) + name)
        except BaseException:
            self.socket.close()
            raise

    def request(self, opcode, flags=0, offset=0, a=0, b=0, body=b"", id=None):
        if id is None:
            self.id = id = self.id % 0xFFFFFFFF + 1
        self.socket.send(struct.pack("<BBHIQII", opcode, flags, 0, id, offset, a, b) + body)
        return id

    def receive(self):
        """The next answer: (opcode, request id, message). A HELLO is kept. Raises LogLogError for an ERROR, and Closed."""
        asked = False
        while True:
            try:
                message = self.socket.receive()
                break
            except TimeoutError:
                if asked:
                    raise Closed(1006, "nothing comes, not even a sign of life") from None
                self.request(CANCEL)
                asked = True
        opcode = message[0] if message else 0
        if opcode == HELLO:
            self.hello = hello_of(message)
            return opcode, None, message
        if len(message) < (8 if opcode == APPENDED else 24):
            raise LogLogError("PROTOCOL", f"{self.url} sent {len(message)} bytes of opcode {opcode}", "unknown")
        if opcode == ERROR:
            flags, number, id, offset = message[1], *struct.unpack_from("<HIQ", message, 2)
            code, text = CODES.get(number), message[24:].decode("utf-8", "replace")
            outcome = "unknown" if flags & 2 or code is None else "failed"
            raise LogLogError(code or "PROTOCOL", text, outcome, offset, bool(flags & 1), id)
        return opcode, struct.unpack_from("<I", message, 4)[0], message

    def answer(self, id, *opcodes):
        """The answer to request `id`; what is about others is passed over."""
        while True:
            try:
                opcode, of, message = self.receive()
            except LogLogError as error:
                if error.request == id or error.fatal or error.request is None:
                    raise
                continue
            if opcode == APPENDED and APPENDED in opcodes:
                for at in range(8, 8 + 32 * struct.unpack_from("<H", message, 2)[0], 32):
                    if struct.unpack_from("<I", message, at)[0] == id:
                        return struct.unpack_from("<IIQQII", message, at)
            elif opcode in opcodes and of == id:
                return message

    def close(self):
        self.socket.close()


def hello_of(message):
    role = message[1]
    if role == 2:
        return {"role": 2}
    node, start, commit = struct.unpack_from("<IQQ", message, 4)
    term, payload, window, batch, read, size = struct.unpack_from("<6I", message, 40)
    why_size, features = struct.unpack_from("<HI", message, 74)
    leader = message[80 : 80 + size].decode("ascii")
    at, nodes = 80 + size + why_size, []
    if len(message) >= at + 16:
        count = struct.unpack_from("<H", message, at + 12)[0]
        at += 16
        for _ in range(count):
            length = struct.unpack_from("<H", message, at + 2)[0]
            nodes.append(message[at + 4 : at + 4 + length].decode("ascii"))
            at += 4 + length
    return {"role": role, "node": node, "start": start, "commit": commit, "cluster": message[24:40].hex(), "term": term, "features": features,
            "maxPayloadBytes": payload, "windowBytes": window, "maxBatchBytes": batch, "maxReadBytes": read, "leader": leader,
            "nodes": [url for url in nodes if url]}


class LogLog:
    """A log. `urls`: an address of a node, or several. `timeout`: so many seconds a node, or a leader, is looked for."""

    def __init__(self, urls, token=None, cafile=None, timeout=30):
        self.urls = [urls] if isinstance(urls, str) else list(urls)
        self.token, self.cafile, self.timeout = token, cafile, timeout
        self.cluster, self.leader, self.hello = None, None, None
        self._connect(time.monotonic() + timeout, wants_leader=False).close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.leader is not None:
            self.leader.close()
            self.leader = None

    def _learn(self, hello, url):
        """Further addresses, after those that were given; nobody leads from TLS to where everybody reads along."""
        self.hello = hello
        for other in [hello["leader"], *hello["nodes"]]:
            if other and other not in self.urls and len(self.urls) < 64 and not (url.startswith("wss:") and other.startswith("ws:")):
                self.urls.append(other)

    def _connect(self, deadline, wants_leader, avoid=None):
        """A connection to the node that leads, or to any. Waits for one until `deadline`."""
        delay, first = 0.05, None
        while True:
            reasons, others = [], True
            order = sorted(list(self.urls), key=lambda url: (url == avoid, url != first))
            tried = set()
            while order:
                url = order.pop(0)
                tried.add(url)
                try:
                    connection = Connection(url, self.token, self.cafile)
                except LogLogError as error:
                    if error.code in ("UNAUTHENTICATED", "TOKEN_REVOKED", "TOKEN_EXPIRED"):
                        raise
                    reasons.append(f"{url}: {error}")
                    others = False
                    continue
                except (OSError, Closed) as error:
                    reasons.append(f"{url}: {error}")
                    others = False
                    continue
                hello = connection.hello
                if self.cluster not in (None, hello["cluster"]):
                    reasons.append(f"{url}: a node of another cluster")
                    connection.close()
                    continue
                self.cluster, others = hello["cluster"], False
                self._learn(hello, url)
                if not wants_leader or hello["role"] == 1:
                    return connection
                reasons.append(f"{url}: does not lead")
                connection.close()
                first = hello["leader"] or first
                order = ([first] if first and first not in tried else []) + [each for each in order if each != first]
            if others:
                raise LogLogError("OTHER_CLUSTER", "; ".join(reasons))
            if time.monotonic() + delay > deadline:
                raise LogLogError("UNREACHABLE" if not wants_leader else "NOT_LEADER", "; ".join(reasons))
            time.sleep(delay * (0.5 + random.random() / 2))
            delay = min(delay * 2, 2)

    def append(self, payloads, expected_end=None, term=0):
        """Appends entries as one batch; returns (offset, end) when they are committed. With `expected_end`, a committed position, only if there is
        no data at or after it; then an unknown outcome is found out. Raises LogLogError, whose `outcome` says what is known."""
        body, deadline, uncertain = frame(payloads), time.monotonic() + self.timeout, False
        if not payloads:
            raise ValueError("an append has one entry or more")
        while True:
            try:
                if self.leader is None:
                    self.leader = self._connect(deadline, wants_leader=True)
            except LogLogError as error:
                error.outcome = "unknown" if uncertain else "failed"
                raise
            failure = None
            try:
                flags = 0 if expected_end is None else 2
                id = self.leader.request(APPEND, flags, expected_end or 0, len(payloads), term, body)
                _, _, offset, end, level, _ = self.leader.answer(id, APPENDED)
                if level in (1, 2):
                    return offset, end
                failure = LogLogError("PROTOCOL", f"a receipt of level {level}, which promises nothing", "unknown")
            except LogLogError as error:
                failure = error
                # Fatal, and about no request, or about another one: it says nothing about this one.
                if error.fatal and error.request != id:
                    failure.outcome = "unknown"
            except Closed as closed:
                # 4001 promises that what has no answer was not done; no other end does.
                failure = LogLogError("CONNECTION_LOST", str(closed), "failed" if closed.code == 4001 else "unknown")
            if failure.fatal or failure.code in ("CONNECTION_LOST", "NOT_LEADER", "SHUTTING_DOWN", "PROTOCOL"):
                self.close()
            if failure.outcome == "failed" and failure.code in AGAIN | {"CONNECTION_LOST"}:
                if time.monotonic() > deadline:
                    failure.outcome = "unknown" if uncertain else "failed"
                    raise failure
                time.sleep(0.05)
                continue
            if failure.outcome == "unknown":
                if expected_end is None or term != 0 or time.monotonic() > deadline:
                    raise failure
                uncertain = True
                continue
            if failure.code != "CONDITION_FAILED" or not uncertain:
                failure.outcome = "unknown" if uncertain else "failed"
                raise failure
            found = self._decided(expected_end, payloads)
            if found is not None:
                return found
            if time.monotonic() > deadline:
                failure.outcome = "unknown"
                raise failure
            time.sleep(0.1)

    def _decided(self, expected_end, payloads):
        """Where an append of unknown outcome is; None while nothing is decided. The first data at or after the expected end decides."""
        commit, ours = self.end()["commit"], []
        try:
            for entry in self.read(expected_end, commit):
                if entry.payload != payloads[len(ours)]:
                    raise LogLogError("CONDITION_FAILED", "other data came first", "failed", entry.next_offset)
                ours.append(entry)
                if len(ours) == len(payloads):
                    return ours[0].offset, ours[-1].next_offset
        except LogLogError as error:
            if error.code == "OFFSET_TRIMMED":
                raise LogLogError("OFFSET_TRIMMED", "what decides was trimmed", "unknown", error.offset) from None
            raise
        return None

    def end(self, linearizable=True):
        """{"start", "commit", "term"}; linearizable: every append that was acknowledged before, to anyone, counts."""
        deadline = time.monotonic() + self.timeout
        while True:
            connection = self._connect(deadline, wants_leader=False)
            try:
                message = connection.answer(connection.request(END, 1 if linearizable else 0), ENDED)
                return dict(zip(("start", "commit", "term"), struct.unpack_from("<QQI", message, 8)))
            except (Closed, LogLogError) as error:
                again = isinstance(error, Closed) or error.code in AGAIN | {"BEHIND"}
                if not again or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            finally:
                connection.close()

    def read(self, offset, to=None):
        """What is committed now, from `offset` up to `to`: data entries only."""
        to = self.end()["commit"] if to is None else to
        yield from self._entries(offset, READ, to)

    def subscribe(self, offset):
        """The same without end: it waits for what comes, and goes on at another node when one is lost."""
        yield from self._entries(offset, SUBSCRIBE, None)

    def _entries(self, offset, opcode, to):
        avoid, deadline, term = None, time.monotonic() + self.timeout, 1
        while to is None or offset < to:
            connection = self._connect(deadline, wants_leader=False, avoid=avoid)
            try:
                # This node may be behind the one before.
                connection.answer(connection.request(END, 2, offset, 0, 1000), ENDED)
                id = connection.request(opcode, 0, offset, 0 if opcode == READ else CREDIT_BYTES)
                while to is None or offset < to:
                    message = connection.answer(id, DATA)
                    start, body = struct.unpack_from("<Q", message, 8)[0], message[24:]
                    if message[1] & 2 or (start != offset and not (message[1] & 1 and start > offset)):
                        raise LogLogError("DAMAGED", f"entries of offset {start} came, not of {offset}")
                    offset, deadline = start, time.monotonic() + self.timeout
                    for kind, entry in entries_of(body, start, term):
                        term = entry.term
                        # Before the reader has it, so that it is not read twice when the reader goes on after a loss.
                        offset = entry.next_offset
                        if kind == 0 and (to is None or entry.offset < to):
                            yield entry
                    if opcode == SUBSCRIBE:
                        connection.request(CREDIT, a=len(body), id=id)
                    elif to is None or offset < to:
                        id = connection.request(READ, 0, offset, 0, 1000)
            except Closed:
                avoid, deadline = connection.url, time.monotonic() + self.timeout
                time.sleep(0.05)
            except LogLogError as error:
                if error.code not in AGAIN | {"BEHIND"} or time.monotonic() > deadline:
                    raise
                avoid = connection.url
                time.sleep(0.05)
            finally:
                connection.close()


if __name__ == "__main__":
    with LogLog(sys.argv[1:] or "ws://127.0.0.1:7070") as follower:
        for each in follower.subscribe(follower.hello["start"]):
            print(each.offset, each.payload.decode("utf-8", "replace"), flush=True)
