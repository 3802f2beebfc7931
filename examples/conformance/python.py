"""Lets the suite in this folder drive examples/python/loglog_client.py: commands and answers as lines of JSON, as README.md says."""

import base64, json, pathlib, sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from loglog_client import LogLog, LogLogError

CAN = ["chain", "received", "uploads", "producer", "times", "find", "copy", "segments", "trim", "retention", "level", "tokens", "transfer", "members", "consumers"]
# Readings, named consumers by the names of theirs, and the last entry that each reading gave.
log, readings, consumers, last = None, {}, {}, {}
text = lambda payload: base64.b64encode(payload).decode()
for line in sys.stdin:
    asked = json.loads(line)
    try:
        what = asked["do"]
        if what == "can":
            result = CAN
        elif what == "connect":
            log = LogLog(asked["urls"], token=asked.get("token"), timeout=asked.get("timeoutMs", 10000) / 1000,
                         producer=asked.get("producer"), uploads=asked.get("uploads", False))
            result = {}
        elif what == "append":
            payloads = [base64.b64decode(payload) for payload in asked["payloads"]]
            result = dict(zip(("offset", "end"), log.append(payloads, asked.get("expectedEnd"), ack=asked.get("ack", "committed"))))
        elif what == "chain":
            batches = [[base64.b64decode(payload)] for payload in asked["payloads"]]
            try:
                places, rest = log.chain(batches, asked["expectedEnd"]), None
            except LogLogError as error:
                places, rest = error.places, {"code": error.code, "outcome": error.outcome}
            result = [dict(zip(("offset", "end"), place)) for place in places] + [rest] * (len(batches) - len(places))
        elif what == "end":
            result = log.end(asked.get("linearizable", True))
        elif what in ("read", "subscribe"):
            hosts = asked.get("catchUp", ())
            readings[asked["name"]] = log.subscribe(asked["from"], hosts) if what == "subscribe" else log.read(asked["from"], catch_up=hosts)
            result = {}
        elif what == "copy":
            readings[asked["name"]] = log.copy(asked["from"])
            result = {}
        elif what == "next":
            kind, entry = 0, next(readings[asked["name"]], None)
            if isinstance(entry, tuple) and len(entry) == 2:
                kind, entry = entry
            last[asked["name"]] = entry
            result = entry and {"offset": entry.offset, "nextOffset": entry.next_offset, "timeMs": entry.time_ms, "kind": kind,
                                "payload": text(entry.payload)}
        elif what == "find":
            result = {"offset": log.find(asked["timeMs"])}
        elif what == "trim":
            result = {"start": log.trim(asked["to"], asked.get("dryRun", False))}
        elif what == "retention":
            result = log.retention()
        elif what == "setRetention":
            names = {"bytes": "bytes", "ageMs": "age_ms", "consumerBytes": "consumer_bytes"}
            result = log.set_retention(**{names[name]: asked[name] for name in names if name in asked})
        elif what in ("level", "finalize"):
            result = log.level(what == "finalize")
        elif what == "tokens":
            result = log.tokens()
        elif what == "createToken":
            result = dict(zip(("token", "id"), log.create_token(asked["name"], asked["scopes"])))
        elif what == "revokeToken":
            result = log.revoke_token(asked["token"])
        elif what == "transfer":
            result = dict(zip(("leader", "term"), log.transfer(asked["to"], asked.get("dryRun", False))))
        elif what == "members":
            result = log.members()
        elif what == "changeMember":
            result = log.change_member(asked["kind"], asked["member"], asked.get("host", ""), asked.get("port", 0), asked.get("peerPort", 0),
                                       asked.get("learner", False), asked.get("dryRun", False))
        elif what == "consumer":
            consumers[asked["name"]] = log.consumer(asked["consumer"])
            readings[asked["name"]] = consumers[asked["name"]].entries()
            result = {}
        elif what == "commit":
            consumers[asked["name"]].commit(last[asked["name"]].next_offset)
            result = {}
        elif what == "consumers":
            result = log.consumers()
        elif what == "resetConsumer":
            log.reset_consumer(asked["consumer"], asked.get("to"))
            result = {}
        elif what == "removeConsumer":
            result = log.remove_consumer(asked["consumer"])
        elif what == "close":
            for reading in readings.values():
                reading.close()
            if log is not None:
                log.close()
            readings, consumers, last = {}, {}, {}
            result = {}
        else:
            raise LogLogError("UNSUPPORTED", what)
        answer = {"ok": result}
    except LogLogError as error:
        answer = {"error": {"code": error.code, "outcome": error.outcome, "offset": error.offset}}
    print(json.dumps({"id": asked["id"], **answer}), flush=True)
