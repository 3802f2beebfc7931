"""Lets the suite in this folder drive examples/python/loglog_client.py: commands and answers as lines of JSON, as README.md says."""

import base64, json, pathlib, sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from loglog_client import LogLog, LogLogError

log, readings = None, {}
text = lambda payload: base64.b64encode(payload).decode()
for line in sys.stdin:
    asked = json.loads(line)
    try:
        what = asked["do"]
        if what == "connect":
            log = LogLog(asked["urls"], token=asked.get("token"), timeout=asked.get("timeoutMs", 10000) / 1000)
            result = log.hello
        elif what == "append":
            payloads = [base64.b64decode(payload) for payload in asked["payloads"]]
            result = dict(zip(("offset", "end"), log.append(payloads, asked.get("expectedEnd"))))
        elif what == "end":
            result = log.end(asked.get("linearizable", True))
        elif what in ("read", "subscribe"):
            readings[asked["name"]] = log.subscribe(asked["from"]) if what == "subscribe" else log.read(asked["from"])
            result = {}
        elif what == "next":
            entry = next(readings[asked["name"]], None)
            result = entry and {"offset": entry.offset, "nextOffset": entry.next_offset, "payload": text(entry.payload)}
        elif what == "close":
            for reading in readings.values():
                reading.close()
            log.close()
            result = {}
        else:
            raise LogLogError("UNSUPPORTED", what)
        answer = {"ok": result}
    except LogLogError as error:
        answer = {"error": {"code": error.code, "outcome": error.outcome, "offset": error.offset}}
    print(json.dumps({"id": asked["id"], **answer}), flush=True)
