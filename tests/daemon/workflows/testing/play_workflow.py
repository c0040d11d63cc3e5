"""Play a run of a workflow in the cloud: write into a store what the backend's actions would, with their delays.

A program of its own (boto3 and the standard library; nothing of testd), so that who watches knows no more than the
store says. Behaviour is that of the real backend, faults included: `.done` before the error, joins that wait for every
predecessor, logs that are rewritten whole. Each line of its input orders a run: `document`, `endpoint`, `bucket`,
`timestamp`, `invocation`, `number`, which it prints at the end, and `script`: what each action or `action(rank)` does:

    seconds   how long it takes                value    what it returns
    awaits    a file that must be there before it goes on
    fails     raise: error after `.done`; exit: error, no `.done`; silent: killed; trigger: cannot invoke the next
    says      lines of the user's own          puts     {key: text}          deletes  [key]
    platform  whose lines tell that the next was invoked; empty: nobody's
    shuffled  the log is rewritten in another order at its end

`completions` in the script is a bucket for completions and files, where they are not beside the logs.
"""

from __future__ import annotations

import copy
import json
import os
import re
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

INVOKED = {
    "GitHubActions": "GitHub Action: Successfully invoked: {action}",
    "Lambda": "Lambda: Successfully invoked: {action}",
    "OpenWhisk": "OpenWhisk: Succesfully invoked {action}",
    "GoogleCloud": "GoogleCloud: Successfully invoked {workflow}-{action}",
    "SLURM": "SLURM: Successfully submitted job: {action} (Job ID: 17)",
    "Kubernetes": "Kubernetes: Successfully invoked: {action}",
}


class Bucket:
    """Put and get in one bucket."""

    def __init__(self, endpoint, bucket):
        self._s3 = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="testd",
            aws_secret_access_key="testd", config=Config(max_pool_connections=50),
        )  # fmt: skip
        self._bucket = bucket

    def of(self, bucket):
        found = copy.copy(self)
        found._bucket = bucket
        return found

    def put(self, key, text):
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text.encode())

    def get(self, key):
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read().decode()
        except ClientError:
            return None

    def delete(self, key):
        self._s3.delete_object(Bucket=self._bucket, Key=key)


class Play:
    """One run of a workflow."""

    def __init__(self, document, bucket, folder, script):
        self.document = document
        self.bucket = bucket
        self.files = bucket.of(script["completions"]) if "completions" in script else bucket
        self.folder = folder
        self.script = script
        self._lock = threading.Lock()
        self._threads = []

    def next(self, action):
        return self.document["ActionList"][action].get("InvokeNext", [])

    def ranks(self, action):
        names = [name for one in self.document["ActionList"] for name in self._all(one)]
        found = [int(match[2]) for name in names if (match := re.match(r"(.+)\((\d+)\)$", name)) and match[1] == action]
        return max([*found, 1])

    def _all(self, action):
        for one in self.next(action):
            yield from [one] if isinstance(one, str) else [name for branch in one.values() for name in branch]

    def predecessors(self, action):
        return [one for one in self.document["ActionList"] for name in self._all(one) if name.split("(")[0] == action]

    def trigger(self, name):
        action = name.split("(")[0]
        count = self.ranks(action) if "(" in name else 1
        for rank in range(1, count + 1):
            thread = threading.Thread(target=self.action, args=(action, rank if count > 1 else 0))
            with self._lock:  # who waits must not see one that has not been started
                thread.start()
                self._threads.append(thread)

    def wait(self):
        while True:
            with self._lock:
                if not self._threads:
                    return
                thread = self._threads.pop()
            thread.join()

    def done_keys(self, action):
        count = self.ranks(action)
        names = [f"{action}.{rank}" for rank in range(1, count + 1)] if count > 1 else [action]
        return [f"{self.folder}/function_completions/{name}.done" for name in names]

    def passes(self, action):
        """Whether this trigger of a join is the one that runs."""
        before = self.predecessors(action)
        if len(before) < 2 and not any(self.ranks(one) > 1 for one in before):
            return True
        if any(self.files.get(key) is None for one in before for key in self.done_keys(one)):
            return False
        with self._lock:
            key = f"{self.folder}/{action}.candidate"
            text = self.bucket.get(key) or ""
            self.bucket.put(key, text + f"{threading.get_ident()}\n")
            return not text

    def action(self, action, rank):
        if self.passes(action):
            Action(self, action, rank).run()


class Action:
    """One function instance."""

    def __init__(self, play, action, rank):
        self.play = play
        self.action = action
        self.name = f"{action}({rank})" if rank else action
        self.done = f"{play.folder}/function_completions/{action}{f'.{rank}' if rank else ''}.done"
        self.does = play.script.get(self.name, play.script.get(action, {}))
        self._began = time.monotonic()
        self._lines = []

    def say(self, *lines, level="INFO", file="executor.py", raw=False):
        moment = round(time.monotonic() - self._began, 3)
        self._lines += lines if raw else [f"[{moment}] [{level}] [{file}] {line}" for line in lines]

    def flush(self):
        self.play.bucket.put(f"{self.play.folder}/{self.name}.txt", "\n".join(self._lines) + "\n")

    def run(self):
        does = self.does
        self.say(f"Starting function: {self.action} (Python)")
        self.flush()
        time.sleep(does.get("seconds", 0.02))
        while "awaits" in does and not os.path.exists(does["awaits"]):
            time.sleep(0.01)
        for key, text in does.get("puts", {}).items():
            self.play.files.put(key, text)
        for key in does.get("deletes", []):
            self.play.files.delete(key)
        if does.get("says"):
            self.say(*does["says"], raw=True)
            self.flush()
        fails = does.get("fails", "")
        if fails == "silent":
            return
        if fails == "exit":
            self.say("name 'func_stdout' is not defined", level="ERROR")
            self.flush()
            return
        self.play.files.put(self.done, "True")
        self.say(f"Put {self.done.removeprefix(self.play.folder + '/')} file in S3", level="DEBUG")
        self.flush()
        time.sleep(does.get("late", 0.02))
        if fails == "raise":
            self.say("boom-message", "Traceback: Traceback (most recent call last):\nValueError: boom", level="ERROR")
        else:
            self.follow()
        if does.get("shuffled"):
            self._lines.reverse()
        self.flush()

    def follow(self):
        value = self.does.get("value")
        self.say(f"Finished execution of {self.action} with result {value}", level="DEBUG", file="faasr_entry.py")
        following = self.play.next(self.action)
        if value is None and any(isinstance(one, dict) for one in following):
            text = "InvokeNext contains conditionals but function did not return a value"
            self.say(text, level="ERROR", file="scheduler.py")
            return
        for one in following:
            for name in [one] if isinstance(one, str) else one.get(str(value), []):
                if self.does.get("fails") == "trigger":
                    text = "GitHub Action: Authentication failed, check the credentials"
                    self.say(text, level="ERROR", file="scheduler.py")
                    return
                self.play.trigger(name)
                self.tell(name.split("(")[0], self.play.ranks(name.split("(")[0]) if "(" in name else 1)

    def tell(self, action, times):
        platform = self.does.get("platform", "GitHubActions")
        if platform:
            line = INVOKED[platform].format(action=action, workflow=self.play.document["WorkflowName"])
            self.say(*[line] * times, file="scheduler.py")


def play(order):
    document = order["document"]
    root = document.get("FaaSrLog") or "FaaSrLog"
    folder = f"{root}/{document['WorkflowName']}/{order['timestamp']}/{order['invocation']}"
    run = Play(document, Bucket(order["endpoint"], order["bucket"]), folder, order["script"])
    run.trigger(document["FunctionInvoke"])
    run.wait()
    print(order["number"], flush=True)


def main():
    for line in sys.stdin:
        threading.Thread(target=play, args=(json.loads(line),)).start()


if __name__ == "__main__":
    main()
