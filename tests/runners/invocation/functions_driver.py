"""Calls functions of a workflow in a process of its own, on any supported interpreter, with a store that is a dict.

Reads one JSON document from stdin (source, root, paths, calls: one for each path, store, secrets) and writes one to the
file descriptor in its argument. Python 3.8+, standard library only.
"""

import json
import os
import sys


class Agent:
    """The other end: a store, secrets, and what was told."""

    def __init__(self, store, secrets):
        self.store = {key: text.encode() for key, text in store.items()}
        self.secrets = secrets
        self.log = []
        self.pieces = []
        self.ended = []
        self.rest = b""

    def tell(self, message):
        if message["type"] == "FunctionEnded":
            self.ended.append({key: message[key] for key in ("value", "seconds", "cpu", "loading")})
        elif message["procedure"] in ("log", "note"):
            self.log.append([message["procedure"], message["level"], message["text"]])
        else:
            self.pieces.append(message["data"])

    def exchange(self, message):
        answer = {"id": message["id"], "error": "", "data": b"", "more": False, "keys": [], "values": {}}
        getattr(self, "do_" + message["procedure"])(message, answer)
        return answer

    def do_put(self, message, answer):
        self.store[self.key(message)] = b"".join([*self.pieces, message["data"]])
        self.pieces.clear()

    def do_get(self, message, answer):
        content = self.store.get(self.key(message))
        if content is None:
            answer["error"] = "S3 object not found: s3://bucket/" + self.key(message)
            return
        self.rest = content
        self.do_more(message, answer)

    def do_more(self, message, answer):
        answer["data"], self.rest = self.rest[:65536], self.rest[65536:]
        answer["more"] = bool(self.rest)

    def do_delete(self, message, answer):
        self.store.pop(self.key(message), None)

    def do_list(self, message, answer):
        answer["keys"] = sorted(key for key in self.store if key.startswith(message["name"]))

    def do_secret(self, message, answer):
        name = message["name"]
        if name in self.secrets:
            answer["values"] = {"value": self.secrets[name]}
        else:
            answer["error"] = f"faasr_secret: Secret {name!r} not found in environment variables"

    def do_credentials(self, message, answer):
        answer["values"] = {"bucket": "b", "region": "r", "endpoint": "http://e", "access_key": "a",
                            "secret_key": "s", "anonymous": "false"}  # fmt: skip

    @staticmethod
    def key(message):
        return os.path.normpath(message["folder"] + "/" + message["name"])


def main():
    asked = json.load(sys.stdin)
    sys.path.insert(0, asked["source"])
    os.chdir(asked["root"])
    from testd.runner import suites
    from testd.runner.settings import Settings, WorkerSettings

    root = asked["root"]
    suite = suites.choose(Settings(root=root, cwd=root, kind="workflow"))
    suite.start()
    suite.configure(lambda: None)
    suite.collect(asked["paths"])
    agent = Agent(asked["store"], asked["secrets"])
    worker = WorkerSettings(worker=7)
    worker.exchange, worker.tell = agent.exchange, agent.tell
    outcomes = []
    suite.open(worker)
    for index, call in enumerate(asked["calls"]):
        worker.invocation = dict(
            {"function": "f", "id": "inv-1", "arguments": "{}", "rank": 1, "max_rank": 1, "environment": {},
             "folder": ""}, **call,
        )  # fmt: skip
        os.chdir(root)
        suite.run(index, None, lambda verdict, seconds, detail: outcomes.append([verdict, detail]))
    suite.close()
    store = {key: content.decode() for key, content in agent.store.items()}
    told = {"outcomes": outcomes, "ended": agent.ended, "log": agent.log, "store": store}
    with os.fdopen(int(sys.argv[1]), "w") as file:
        json.dump(told, file)


main()
