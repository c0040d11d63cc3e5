"""Runs a suite in a process of its own, on any supported interpreter, and tells the tests what it did.

Reads one JSON document from stdin (source, root, paths, keyword, update, stream, limit, stopping, and for cases kind,
settings, documents) and writes one to the file descriptor in its argument. Python 3.8+, standard library only.
"""

import json
import os
import sys


def main() -> None:
    asked = json.load(sys.stdin)
    sys.path.insert(0, asked["source"])
    os.chdir(asked["root"])
    from testd.runner import suites
    from testd.runner.settings import Settings, SuiteFault, WorkerSettings

    kind, more, limit = asked.get("kind", "exports"), asked.get("settings", {}), asked["limit"]
    root = asked["root"]
    suite = suites.choose(Settings(root=root, cwd=root, kind=kind, capture_limit=limit, settings=more))
    told = {"items": [], "errors": [], "outcomes": [], "fault": None, "selected": None, "notices": []}
    try:
        suite.start()
        suite.configure(lambda: None)
        collection = suite.collect(asked["paths"])
        told.update(items=collection.items, errors=collection.errors, notices=collection.notices)
        if asked["keyword"] is not None:
            told["selected"] = suite.select(asked["keyword"])
        worker = WorkerSettings(
            worker=0, update_snapshots=asked["update"], stream=asked["stream"], documents=asked.get("documents", False)
        )
        worker.stopping = lambda: asked["stopping"]
        suite.open(worker)
        for index in range(len(collection.items)):
            suite.run(index, None, lambda *outcome: told["outcomes"].append(list(outcome)))
        suite.close()
    except SuiteFault as fault:
        told["fault"] = {"code": fault.code, "message": fault.message, "hint": fault.hint, "exit": fault.exit_code}
    with os.fdopen(int(sys.argv[1]), "w") as file:
        json.dump(told, file)


main()
