"""The same tests in each language that runners of some kind speak."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["JAVASCRIPT", "NAMES", "PYTHON", "Project"]

NAMES = ["adds", "breaks", "prints", "crashes", "hangs", "is_large"]


class Project(NamedTuple):
    """One test file with the tests of `NAMES`."""

    file: str
    text: str
    other: str  # what the file is changed to: one test, `other`


PYTHON = Project(
    "all_test.py",
    """
import os, sys, threading, time

def adds():
    assert 1 + 1 == 2

def breaks():
    assert 1 == 2, "so it is"

def prints():
    print("from the test")
    sys.stderr.write("to stderr\\n")

def crashes():
    os.kill(os.getpid(), 11)

def hangs():
    threading.Event().wait()

def is_large():
    raise AssertionError("x" * 3000000)
""",
    "def other():\n    pass\n",
)

JAVASCRIPT = Project(
    "all.test.mjs",
    """
import assert from 'node:assert';

export const adds = () => assert.strictEqual(1 + 1, 2);

export function breaks() {
  assert.strictEqual(1, 2, 'so it is');
}

export async function prints() {
  console.log('from the test');
  process.stderr.write('to stderr\\n');
}

export function crashes() {
  process.kill(process.pid, 11);
  for (;;);
}

export async function hangs() {
  await new Promise(() => {});
}

export function is_large() {
  throw new assert.AssertionError({ message: 'x'.repeat(3000000) });
}
""",
    "export function other() {}\n",
)
