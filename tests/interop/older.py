"""What Code Wake for Python does in these tests. Configured as any of its programs; answers one line of JSON.

older.py log EVENTS   logs each of a JSON list of {"data": [[key, value], ...] or null, "raise": true or false}
older.py flood COUNT  logs so many events, one after the other
older.py read         everything that is in the store, as the package's own reads give it
"""

import json
import os
import sys

answer = os.fdopen(os.dup(1), "w")
if "CODE_WAKE_CONFIG" in os.environ:
    # The package opens descriptor 1 in place of the file that it found. So the file has to be there.
    os.dup2(os.open(os.environ["CODE_WAKE_CONFIG"], os.O_RDONLY), 1)

import code_wake
from code_wake.config import Config
from code_wake_sql14_store.utils import data_digest


def fail(depth):
    if depth == 0:
        raise ValueError("it failed, as told")
    fail(depth - 1)


def log(events):
    process = code_wake.Process()
    for event in events:
        try:
            if event["raise"]:
                fail(3)
            process.log(event["data"])
        except ValueError as error:
            process.log(event["data"], error)
    return process.id


def flood(count):
    process = code_wake.Process()
    for i in range(count):
        process.log([["number", f"python/{i}"]])
    return process.id


def digest_of(data):
    """None where the package cannot compute one: it has no form for NULL."""
    return None if any(None in row for row in data) else data_digest(data).hex()


def process_seen(process):
    return {
        "id": process.id,
        "run_us": round(process.run_ts * 1e6),
        "environment": process.environment and process.environment.name,
        "pid": process.pid,
        "username": process.username,
        "fqdn": process.fqdn,
        "exe_path": process.exe_path,
        "app": [process.app.id, process.app.name],
        "vsn": process.app_vsn and [process.app_vsn.id, process.app_vsn.vsn, process.app_vsn.app_id],
    }


def event_seen(event):
    data = [[row.key, row.val] for row in sorted(event.data, key=lambda row: row.id)]
    stack = event.stacktrace
    frames = stack and [[frame.filename, frame.lineno, frame.src] for frame in stack.stackframes]
    return {
        "id": event.id,
        "when_us": round(event.when_ts * 1e6),
        "process": event.process_id,
        "data": data,
        "digest": event.digest and event.digest.hex(),
        "digest_computed": event.digest and digest_of(data),
        "stack": stack and stack.id,
        "frames": frames or [],
        "stack_digest": stack and stack.digest.hex(),
        "stack_digest_computed": stack and digest_of(frames[::-1]),
    }


def read():
    store = Config().store()
    return {
        "processes": [process_seen(p) for p in sorted(store.get_processes(), key=lambda p: p.id)],
        "events": [event_seen(e) for e in sorted(store.get_events_by_data([]), key=lambda e: e.id)],
    }


command, *arguments = sys.argv[1:]
result = {"log": log, "flood": flood, "read": read}[command](*map(json.loads, arguments))
answer.write(json.dumps(result) + "\n")
answer.flush()
