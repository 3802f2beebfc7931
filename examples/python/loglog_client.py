"""A client of LogLog in one file, for Python 3.10 and newer, with nothing but its standard library. It follows docs/PROTOCOL.md.

    from loglog_client import LogLog
    with LogLog("ws://127.0.0.1:7070") as log:
        offset, end = log.append([b"an entry"])
        for entry in log.subscribe(0):
            print(entry.offset, entry.payload)

It has all of the protocol, and is made to be read: one call at a time, no threads. `python3 loglog_client.py ws://127.0.0.1:7070` follows a log.
examples/conformance is the suite that it passes.
"""

import base64, collections, hashlib, json, os, random, socket, ssl, struct, sys, time, urllib.error, urllib.request, zlib
from urllib.parse import urljoin, urlsplit

APPEND, READ, SUBSCRIBE, CREDIT, CANCEL, END, INTRODUCE, UPLOAD, AUTHENTICATE, TRIM = range(1, 11)
FIND, RETENTION, UPGRADE, TOKENS, CONSUMERS, TRANSFER, OPEN_SESSION, MEMBERS = 11, 12, 13, 14, 15, 18, 19, 20
HELLO, APPENDED, DATA, ENDED, ERROR, CANCELLED, UPLOADED, FOUND, KEPT, LEVELS, LISTED, POSITIONS = range(0x81, 0x8D)
TRANSFERRED, SESSION_OPENED, NODES = 0x8F, 0x90, 0x91
# Flags of an APPEND, and features of a HELLO.
RECEIVED, CONDITIONAL, CHAINED, UPLOADED_BEFORE, SESSION = 1, 2, 4, 8, 16
F_INTRODUCE, F_UPLOADS, F_TIMES, F_CONSUMERS, F_SESSIONS = 2, 4, 16, 128, 256
CODES = {1: "MALFORMED", 2: "UNKNOWN_OPCODE", 3: "BAD_CHECK", 4: "ENTRY_TOO_LARGE", 5: "BAD_KIND", 6: "WINDOW_EXCEEDED", 7: "CONDITION_FAILED",
         8: "OFFSET_TRIMMED", 9: "OFFSET_BEYOND_END", 10: "OFFSET_NOT_BOUNDARY", 11: "TOO_MANY_REQUESTS", 12: "OVERLOADED", 13: "SHUTTING_DOWN",
         14: "NOT_LEADER", 15: "DAMAGED", 16: "UNSUPPORTED", 17: "BEHIND", 18: "CHAIN_BROKEN", 19: "UNKNOWN_FLAGS", 20: "OTHER_VERSION",
         21: "UNAUTHENTICATED", 22: "FORBIDDEN", 23: "QUOTA_EXCEEDED", 25: "GENERATION_CHANGED", 26: "SEQUENCE_GAP", 27: "UNKNOWN_SESSION",
         28: "FENCED", 29: "DISK_FULL", 31: "READ_ONLY", 32: "TOO_MANY_TOKENS", 33: "TOKEN_REVOKED", 34: "TOKEN_EXPIRED", 36: "NOT_READY",
         37: "LEVEL_TOO_LOW", 38: "CHANGE_IN_PROGRESS", 39: "NO_MAJORITY", 40: "UNKNOWN_MEMBER", 41: "ALREADY_MEMBER",
         42: "MEMBER_REMOVED", 43: "TOO_MANY_CONSUMERS", 44: "TOO_MANY_SESSIONS"}
# Refused, certainly not done, and worth another try, perhaps at another node.
AGAIN = {"OVERLOADED", "SHUTTING_DOWN", "NOT_LEADER", "DISK_FULL"}
CREDIT_BYTES = 1 << 20
SILENCE_SECONDS = 10
NONE = (1 << 64) - 1
SCOPES = ("read", "consume", "append", "trim", "admin", "metrics")
ROLES = ("unknown", "voter", "learner", "reader")

# `time_ms`: when it was ordered, by the log's time, Unix ms; None where that is not known.
Entry = collections.namedtuple("Entry", "offset next_offset term payload time_ms", defaults=(None,))


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


def time_said(kind, payload):
    """The log's time that an entry of the log's own says: a time entry, or section 3 of a state entry. None where it says none."""
    if kind == 4 and len(payload) == 8:
        return struct.unpack("<Q", payload)[0]
    at = 0
    while kind == 6 and at + 8 <= len(payload):
        section, size = struct.unpack_from("<H2xI", payload, at)
        if section == 3 and size == 8:
            return struct.unpack_from("<Q", payload, at + 8)[0]
        at += 8 + size
    return None


def base62(number, digits):
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[digit] + text
    return text


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

    def __init__(self, url, token=None, cafile=None, uploads=False):
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
            if self.hello["features"] & F_INTRODUCE:
                name = b"loglog-python/0.1.0"
                self.request(INTRODUCE, a=1 | 1 << 16, b=int(uploads), body=struct.pack("<HH", len(name), 0) + name)
                # The answer names all nodes. Whoever does not want to wait for it may go on at once.
                while self.hello["generation"] is None:
                    self.receive()
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
    at, nodes, generation = 80 + size + why_size, {}, None
    if len(message) >= at + 16:
        generation = message[at : at + 8]
        count = struct.unpack_from("<H", message, at + 12)[0]
        at += 16
        for _ in range(count):
            id, length = struct.unpack_from("<BxH", message, at)
            nodes[id] = message[at + 4 : at + 4 + length].decode("ascii")
            at += 4 + length
    return {"role": role, "node": node, "start": start, "commit": commit, "cluster": message[24:40].hex(), "term": term, "features": features,
            "maxPayloadBytes": payload, "windowBytes": window, "maxBatchBytes": batch, "maxReadBytes": read, "leader": leader,
            "nodes": {id: url for id, url in nodes.items() if url}, "generation": generation}


class LogLog:
    """A log. `urls`: an address of a node, or several. `timeout`: so many seconds a node, or a leader, is looked for. `producer`: a name; plain appends
    are then in the log once, whatever is lost meanwhile. `uploads`: put large appends on the followers first."""

    def __init__(self, urls, token=None, cafile=None, timeout=30, producer=None, uploads=False):
        self.urls = [urls] if isinstance(urls, str) else list(urls)
        self.token, self.cafile, self.timeout, self.uploads = token, cafile, timeout, uploads
        self.cluster, self.leader, self.hello = None, None, None
        # Of a producer: who it is, its session, and whether that goes on.
        self.producer, self.instance = producer, os.urandom(7) + b"\1"
        self.session, self.sequence, self.is_open = 0, 0, False
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
        for other in [hello["leader"], *hello["nodes"].values()]:
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
                    connection = Connection(url, self.token, self.cafile, self.uploads)
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

    def append(self, payloads, expected_end=None, term=0, ack="committed"):
        """Appends entries as one batch; returns (offset, end) when they are committed, or with ack="received" when they are ordered, and can be lost yet.
        With `expected_end`, a committed position, only if there is no data at or after it; then an unknown outcome is found out. Raises LogLogError, whose
        `outcome` says what is known."""
        body, deadline, uncertain = frame(payloads), time.monotonic() + self.timeout, False
        if not payloads:
            raise ValueError("an append has one entry or more")
        if self.producer is not None and expected_end is None:
            return self._append_once(body, len(payloads), deadline)
        levels = (0, 1, 2) if ack == "received" else (1, 2)
        while True:
            try:
                if self.leader is None:
                    self.leader = self._connect(deadline, wants_leader=True)
            except LogLogError as error:
                error.outcome = "unknown" if uncertain else "failed"
                raise
            failure = None
            try:
                flags = (0 if expected_end is None else CONDITIONAL) | (RECEIVED if ack == "received" else 0)
                uploaded, copy = self._upload(body)
                id = self.leader.request(APPEND, flags | uploaded, expected_end or 0, len(payloads), term, copy + body)
                _, _, offset, end, level, _ = self.leader.answer(id, APPENDED)
                if level in levels:
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

    def _upload(self, body):
        """Puts entries on the followers, where that is asked for: the flag, and what goes before the entries. Whoever refuses, or is not there, is left out."""
        if not self.uploads or not self.leader.hello["features"] & F_UPLOADS or not 16384 <= len(body) <= 4 << 20:
            return 0, b""
        id, nodes = os.urandom(16), 0
        for node, url in self.leader.hello["nodes"].items():
            if node == self.leader.hello["node"]:
                continue
            try:
                follower = Connection(url, self.token, self.cafile, True)
                try:
                    if not follower.hello["features"] & F_UPLOADS:
                        continue
                    asked = None
                    for at in range(0, len(body), 1 << 18):
                        asked = follower.request(UPLOAD, 0, at, len(body), 0, id + body[at : at + (1 << 18)], id=asked)
                    follower.answer(asked, UPLOADED)
                    nodes |= 1 << node - 1
                finally:
                    follower.close()
            except (LogLogError, Closed, OSError):
                pass
        return UPLOADED_BEFORE, id + struct.pack("<II", nodes, 0)

    def _append_once(self, body, count, deadline):
        """As the producer: numbered in its session, and sent again until it is answered. (0, 0): it is in the log, and nobody knows any more where."""
        uncertain = False
        while True:
            try:
                if self.leader is None:
                    self.leader = self._connect(deadline, wants_leader=True)
                if not self.is_open:
                    before, sequence, last = self.session, self.sequence, self._open_session()
                    if uncertain and last[0] == before and last[1] >= sequence + 1:
                        return 0, 0
                    if uncertain and last[0] != before:
                        raise LogLogError("UNKNOWN_SESSION", "the log has forgotten the session of this producer", "unknown")
                    uncertain = False
                session = struct.pack("<QQ", self.session, self.sequence + 1)
                id = self.leader.request(APPEND, SESSION, 0, count, 0, session + body)
                _, _, offset, end, level, _ = self.leader.answer(id, APPENDED)
                if level in (1, 2):
                    self.sequence += 1
                    return offset, end
                failure = LogLogError("PROTOCOL", f"a receipt of level {level}, which promises nothing", "unknown")
            except Closed as closed:
                failure = LogLogError("CONNECTION_LOST", str(closed), "failed" if closed.code == 4001 else "unknown")
            except LogLogError as error:
                failure = error
            uncertain = uncertain or failure.outcome == "unknown"
            if failure.fatal or failure.code in ("CONNECTION_LOST", "NOT_LEADER", "SHUTTING_DOWN", "PROTOCOL"):
                self.close()
            is_over = time.monotonic() > deadline
            if failure.code == "UNKNOWN_SESSION" and self.is_open and not is_over:
                self.is_open = False
                continue
            if is_over or failure.code not in AGAIN | {"CONNECTION_LOST", "PROTOCOL", "TOO_MANY_SESSIONS"}:
                # Its number belongs to it for ever: what comes next is of another session.
                self.is_open = False
                failure.outcome = "unknown" if uncertain else "failed"
                raise failure
            time.sleep(0.05)

    def _open_session(self):
        """Opens one, and says which the producer had before, and the last number of that."""
        if not self.leader.hello["features"] & F_SESSIONS:
            raise LogLogError("UNSUPPORTED", "this node has no sessions of producers")
        # The first one takes the name over; later ones name the one that they follow, so that two processes do not take it from each other in turn.
        id = self.leader.request(OPEN_SESSION, offset=self.session, body=self.instance + self.producer.encode())
        opened, before, sequence = struct.unpack_from("<QQQ", self.leader.answer(id, SESSION_OPENED), 8)
        self.session, self.sequence, self.is_open = opened, 0, True
        return before, sequence

    def chain(self, batches, expected_end):
        """Appends batches one after the other, with nobody's data between them, and waits for none before the next. Returns [(offset, end), …] when all are
        committed. Of a LogLogError, `places` are those of the batches that are in the log; the others are not, unless its outcome is "unknown"."""
        places, uncertain, deadline = [], False, time.monotonic() + self.timeout
        while len(places) < len(batches):
            done, failure = self._links(batches[len(places) :], places[-1][1] if places else expected_end, deadline)
            places += done
            if failure is None:
                break
            uncertain = uncertain or failure.outcome == "unknown"
            is_over = time.monotonic() > deadline
            if is_over or (not uncertain and failure.code not in AGAIN | {"CONNECTION_LOST"}):
                failure.places, failure.outcome = places, "unknown" if uncertain else "failed"
                raise failure
            if uncertain:
                places, others = self._matched(batches, expected_end)
                if others:
                    failure = LogLogError("CHAIN_BROKEN", "other data came after the part of the chain that is in the log")
                    failure.places = places
                    raise failure
            time.sleep(0.05)
        return places

    def _links(self, batches, expected_end, deadline):
        """Sends a chain: the places of those that were done, and what ended it, or None."""
        done, sent, flying, answered = [], [], 0, {}
        try:
            if self.leader is None:
                self.leader = self._connect(deadline, wants_leader=True)
            bodies, window = [frame(batch) for batch in batches], self.leader.hello["windowBytes"]
            while len(done) < len(batches):
                while len(sent) < len(batches) and len(sent) - len(done) < 1000 and (flying == 0 or flying + len(bodies[len(sent)]) <= window):
                    n = len(sent)
                    sent.append(self.leader.request(APPEND, CHAINED if n else CONDITIONAL, 0 if n else expected_end, len(batches[n]), 0, bodies[n]))
                    flying += len(bodies[n])
                # An error may come before the receipts of what was sent before it.
                while sent[len(done)] not in answered:
                    try:
                        opcode, _, message = self.leader.receive()
                    except LogLogError as error:
                        if error.fatal or error.request is None:
                            error.outcome = "unknown"
                            raise
                        answered[error.request] = error
                        continue
                    for at in range(8, len(message), 32) if opcode == APPENDED else ():
                        id, _, offset, end = struct.unpack_from("<IIQQ", message, at)
                        answered[id] = (offset, end)
                answer = answered.pop(sent[len(done)])
                flying -= len(bodies[len(done)])
                if isinstance(answer, LogLogError):
                    raise answer
                done.append(answer)
            return done, None
        except Closed as closed:
            self.close()
            return done, LogLogError("CONNECTION_LOST", str(closed), "failed" if closed.code == 4001 else "unknown")
        except LogLogError as error:
            if error.fatal or error.code in ("NOT_LEADER", "SHUTTING_DOWN", "PROTOCOL"):
                self.close()
            return done, error

    def _matched(self, batches, expected_end):
        """How much of a chain is committed: the places of its first batches, and whether other data came after them."""
        places, begun, index = [], None, 0
        for entry in self.read(expected_end):
            if len(places) == len(batches) or entry.payload != batches[len(places)][index]:
                return places, len(places) < len(batches)
            begun, index = entry.offset if index == 0 else begun, index + 1
            if index == len(batches[len(places)]):
                places.append((begun, entry.next_offset))
                index = 0
        return places, False

    def _ask(self, opcode, answered, flags=0, offset=0, a=0, b=0, body=b"", feature=0):
        """What only the leader does, and what may be asked for twice: asked for until it is answered, or the time is over."""
        deadline, uncertain = time.monotonic() + self.timeout, False
        while True:
            try:
                if self.leader is None:
                    self.leader = self._connect(deadline, wants_leader=True)
                if feature & ~self.leader.hello["features"]:
                    raise LogLogError("UNSUPPORTED", "this node is of a build without that")
                return self.leader.answer(self.leader.request(opcode, flags, offset, a, b, body), answered)
            except Closed as closed:
                failure, uncertain = LogLogError("CONNECTION_LOST", str(closed), "unknown"), True
                self.close()
            except LogLogError as error:
                failure, uncertain = error, uncertain or error.outcome == "unknown"
                if error.fatal or error.code in ("NOT_LEADER", "SHUTTING_DOWN"):
                    self.close()
            failure.outcome = "unknown" if uncertain else "failed"
            if failure.code not in AGAIN | {"CONNECTION_LOST", "CHANGE_IN_PROGRESS", "TOO_MANY_REQUESTS"} or time.monotonic() > deadline:
                raise failure
            time.sleep(0.05)

    def trim(self, to, dry_run=False):
        """Removes what is before `to`, for good; returns where the log begins."""
        return struct.unpack_from("<Q", self._ask(TRIM, ENDED, int(dry_run), to), 8)[0]

    def retention(self):
        """{"bytes", "ageMs", "consumerBytes", "start", "commit", "oldestMs", "timeMs"}; bounds are None where there is none."""
        return self._retention()

    def set_retention(self, **bounds):
        """`bytes`, `age_ms`, `consumer_bytes`: each a number, or None for no bound; what is not given stays as it is."""
        flags = sum(flag for name, flag in (("bytes", 1), ("age_ms", 2), ("consumer_bytes", 8)) if name in bounds)
        return self._retention(flags, *(bounds.get(name) or 0 for name in ("bytes", "age_ms", "consumer_bytes")))

    def _retention(self, flags=0, bytes=0, age=0, consumers=0):
        tells = 4 if self.hello["features"] & F_CONSUMERS else 0
        message = self._ask(RETENTION, KEPT, flags | tells, bytes, age & 0xFFFFFFFF, age >> 32, struct.pack("<Q", consumers) if flags & 8 else b"")
        values = struct.unpack_from("<6Q", message, 8) + (struct.unpack_from("<Q", message, 56) if tells else (0,))
        kept = dict(zip(("bytes", "ageMs", "start", "commit", "oldestMs", "timeMs", "consumerBytes"), values))
        return {name: value if value or name in ("start", "commit") else None for name, value in kept.items()}

    def level(self, finalize=False):
        """{"level", "newest", "nodes": [{"id", "newest"}]}; with `finalize` it is raised, and waited for. TIMEOUT: a node holds it back."""
        deadline = time.monotonic() + self.timeout
        while True:
            message = self._ask(UPGRADE, LEVELS, int(finalize))
            level, newest, count = struct.unpack_from("<III", message, 8)
            rows = [struct.unpack_from("<BBHHH", message, 24 + 8 * i) for i in range(count)]
            nodes = [{"id": id, "newest": highest if heard else None} for id, heard, _, _, highest in rows]
            if not finalize or level >= newest:
                return {"level": level, "newest": newest, "nodes": nodes}
            if time.monotonic() > deadline:
                raise LogLogError("TIMEOUT", f"nodes hold the level back: {nodes}")
            time.sleep(0.1)

    def tokens(self):
        message, at = self._ask(TOKENS, LISTED), 24
        found = []
        for _ in range(struct.unpack_from("<I", message, 16)[0]):
            scopes, size = struct.unpack_from("<II", message, at)
            made, expires = struct.unpack_from("<QQ", message, at + 48)
            id = base62(int.from_bytes(message[at + 8 : at + 16], "big"), 11)
            found.append({"id": id, "name": message[at + 104 : at + 104 + size].decode(), "createdMs": made, "expiresMs": expires or None,
                          "scopes": [scope for i, scope in enumerate(SCOPES) if scopes >> i & 1]})
            at += 104 + size
        return found

    def create_token(self, name, scopes, expires_ms=0):
        """Makes a token, which is nowhere else than in the answer: (token, id). Nodes are told its hash."""
        id, secret = os.urandom(8), os.urandom(22)
        text = "loglog_" + base62(int.from_bytes(id, "big"), 11) + base62(int.from_bytes(secret, "big"), 30)
        text += base62(zlib.crc32(text.encode()), 6)
        bits = sum(1 << SCOPES.index(scope) for scope in scopes)
        hash, called = hashlib.sha256(text.encode()).digest(), name.encode()
        record = struct.pack("<II", bits, len(called)) + id + hash + struct.pack("<QQ", int(time.time() * 1000), expires_ms) + bytes(40) + called
        self._ask(TOKENS, LISTED, body=struct.pack("<I", 1) + record)
        return text, text[7:18]

    def revoke_token(self, id):
        """Takes back the token `id`, 11 characters; returns whether it was there."""
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        number = sum(digits.index(digit) * 62**i for i, digit in enumerate(reversed(id)))
        return bool(self._ask(TOKENS, LISTED, body=struct.pack("<I", 2) + number.to_bytes(8, "big"))[1] & 1)

    def transfer(self, to=0, dry_run=False):
        """Lets node `to` lead, or the one whose log is furthest; returns (leader, term), and leader 0 where nobody has the office yet."""
        if self.leader is None:
            self.leader = self._connect(time.monotonic() + self.timeout, wants_leader=True)
        # Asked again, it is about the same leader: done once.
        return struct.unpack_from("<II", self._ask(TRANSFER, TRANSFERRED, int(dry_run), 0, to, self.leader.hello["term"]), 16)

    def members(self):
        """[{"id", "role", "isConnected", "counts", "host", "port", "peerPort", "url", "durable"}], by id."""
        return self._members(b"")

    def change_member(self, kind, id, host="", port=0, peer_port=0, learner=False, dry_run=False):
        """`kind`: "add", "remove", "promote" or "demote". Returns the nodes that there are once that is committed, or with `dry_run` that there would be."""
        what = ("add", "remove", "promote", "demote").index(kind) + 1
        head = struct.pack("<BBBBHH8x", what, id, (3 if learner else 2) if what == 1 else 0, 0, port, peer_port)
        return self._members(head + host.encode("ascii"), int(dry_run))

    def _members(self, body, flags=0):
        message, at, nodes = self._ask(MEMBERS, NODES, flags, body=body), 48, []
        for _ in range(struct.unpack_from("<H", message, 2)[0]):
            id, role, flags, _, port, peer_port = struct.unpack_from("<BBBBHH", message, at)
            durable, _, _, _, host, url = struct.unpack_from("<QQHHHH", message, at + 16)
            ends = at + 40 + host
            nodes.append({"id": id, "role": ROLES[role], "isConnected": bool(flags & 1), "counts": bool(flags & 2), "port": port, "peerPort": peer_port,
                          "durable": durable if flags & 8 else None, "host": message[at + 40 : ends].decode(), "url": message[ends : ends + url].decode()})
            at = ends + url
        return nodes

    def consumers(self):
        """[{"name", "position", "fence"}], by name: those whose positions the log keeps."""
        return self._consumers(b"")[1]

    def consumer(self, name):
        """Takes a name: entries from where it left off, and `commit(offset)`, which ends as FENCED once somebody else has taken it."""
        called = name.encode()
        generation, (record,), _ = self._consumers(bytes(8) + struct.pack("<BBH", 1, len(called), 0) + called)
        return Consumer(self, generation, record)

    def reset_consumer(self, name, to=None):
        called = name.encode()
        self._consumers(bytes(8) + struct.pack("<BBHQ", 3, len(called), 0, NONE if to is None else to) + called)

    def remove_consumer(self, name):
        """Returns whether it was there."""
        called = name.encode()
        return self._consumers(bytes(8) + struct.pack("<BBH", 4, len(called), 0) + called)[2]

    def _consumers(self, body):
        message, at, found = self._ask(CONSUMERS, POSITIONS, body=body, feature=F_CONSUMERS), 24, []
        while at < len(message):
            fence, position, _, size = struct.unpack_from("<QQQI", message, at)
            name = message[at + 28 : at + 28 + size].decode()
            found.append({"name": name, "position": None if position == NONE else position, "fence": fence})
            at += 28 + size
        return message[8:16], found, bool(message[1] & 1)

    def find(self, time_ms):
        """Where the first entry is that is not older, by the log's time: a place to read from."""
        deadline = time.monotonic() + self.timeout
        while True:
            connection = self._connect(deadline, wants_leader=False)
            try:
                return struct.unpack_from("<Q", connection.answer(connection.request(FIND, 0, time_ms), FOUND), 8)[0]
            except (Closed, LogLogError) as error:
                if not (isinstance(error, Closed) or error.code in AGAIN) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            finally:
                connection.close()

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

    def read(self, offset, to=None, catch_up=()):
        """What is committed now, from `offset` up to `to`: data entries only."""
        to = self.end()["commit"] if to is None else to
        yield from self._data(offset, READ, to, catch_up)

    def subscribe(self, offset, catch_up=()):
        """The same without end: it waits for what comes, and goes on at another node when one is lost. `catch_up`: hosts that have sealed segments."""
        yield from self._data(offset, SUBSCRIBE, None, catch_up)

    def copy(self, offset):
        """(kind, entry) of everything that a node has, without end, as for a copy of the log: what is before its start, and its own entries, too."""
        yield from self._entries(offset, SUBSCRIBE, None, keeps=True)

    def _data(self, offset, opcode, to, hosts):
        for kind, entry in self._sealed(offset, to, hosts) if hosts else ():
            offset = entry.next_offset
            if kind == 0:
                yield entry
        for kind, entry in self._entries(offset, opcode, to):
            if kind == 0 and (to is None or entry.offset < to):
                yield entry

    def _entries(self, offset, opcode, to, keeps=False):
        avoid, deadline, term, now = None, time.monotonic() + self.timeout, 1, None
        while to is None or offset < to:
            connection = self._connect(deadline, wants_leader=False, avoid=avoid)
            try:
                # This node may be behind the one before.
                connection.answer(connection.request(END, 2, offset, 0, 1000), ENDED)
                timed = 1 if connection.hello["features"] & F_TIMES and not keeps else 0
                id = connection.request(opcode, timed | (2 if keeps else 0), offset, 0 if opcode == READ else CREDIT_BYTES)
                while to is None or offset < to:
                    message = connection.answer(id, DATA)
                    start, head = struct.unpack_from("<Q", message, 8)[0], 32 if message[1] & 2 else 24
                    body = message[head:]
                    if start != offset and not (message[1] & 1 and start > offset):
                        raise LogLogError("DAMAGED", f"entries of offset {start} came, not of {offset}")
                    if head == 32:
                        now = struct.unpack_from("<Q", message, 24)[0] or None
                    elif start != offset:
                        now = None
                    offset, deadline = start, time.monotonic() + self.timeout
                    for kind, entry in entries_of(body, start, term):
                        term, now = entry.term, time_said(kind, entry.payload) or now
                        # Before the reader has it, so that it is not read twice when the reader goes on after a loss.
                        offset = entry.next_offset
                        yield kind, entry._replace(time_ms=now)
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

    def _get(self, url, token=None):
        """The body of a GET; None where it cannot be had."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = ssl.create_default_context(cafile=self.cafile) if url.startswith("https:") else None
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SILENCE_SECONDS, context=context) as answer:
                return answer.read()
        except (OSError, urllib.error.URLError):
            return None

    def segments(self, url=None, token=None):
        """The sealed segments that a host lists, or without one a node: [{"base", "end", "url", "digest"}]."""
        if url is None:
            node = self._connect(time.monotonic() + self.timeout, wants_leader=False)
            url, token = "http" + node.url[2:], self.token
            node.close()
        listed = self._get(f"{url.rstrip('/')}/log/{self.cluster}/segments", token)
        try:
            return json.loads(listed or "{}").get("segments", [])
        except ValueError:
            return []

    def _sealed(self, offset, to, hosts):
        """(kind, entry) from hosts that need not be trusted: a whole segment at a time, of which a node says the SHA-256. Ends where they have no more."""
        now, lists = None, {host: self.segments(host) for host in hosts}
        for segment in self.segments():
            base, end, digest = segment["base"], segment["end"], segment.get("digest")
            if not base <= offset < end or digest is None or (to is not None and offset >= to):
                continue
            for host, listed in lists.items():
                path = next((each["url"] for each in listed if (each["base"], each["end"]) == (base, end)), None)
                body = self._get(urljoin(host, path)) if path else None
                if body is not None and hashlib.sha256(body).hexdigest() == digest:
                    break
            else:
                return
            for kind, entry in entries_of(body, base):
                now = time_said(kind, entry.payload) or now
                if entry.offset >= offset and (to is None or entry.offset < to):
                    yield kind, entry._replace(time_ms=now)
            offset = end


class Consumer:
    """See LogLog.consumer. `position`: everything before it is committed; None: nothing is."""

    def __init__(self, log, generation, record):
        self.log, self.generation, self.fence, self.position = log, generation, record["fence"], record["position"]

    def entries(self):
        yield from self.log.subscribe(self.log.hello["start"] if self.position is None else self.position)

    def commit(self, offset):
        """All before `offset`, such as an entry's `next_offset`, is handled: kept when this returns."""
        self.log._consumers(self.generation + struct.pack("<BBHQQ", 2, 0, 0, self.fence, offset))
        self.position = max(self.position or 0, offset)


if __name__ == "__main__":
    with LogLog(sys.argv[1:] or "ws://127.0.0.1:7070") as follower:
        for each in follower.subscribe(follower.hello["start"]):
            print(each.offset, each.payload.decode("utf-8", "replace"), flush=True)
