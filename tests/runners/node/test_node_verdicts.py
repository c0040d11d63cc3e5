"""The verdict on each test, and what is said of those that fail."""

from __future__ import annotations

import pytest
from javascript import Project


@pytest.mark.every_node
def test_a_failure_says_what_where_and_why(project: Project) -> None:
    project.write(
        a_test_mjs="""
            import assert from 'node:assert';
            import { divide } from './src.mjs';
            export const differs = () => assert.deepStrictEqual({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] });
            export const said = () => assert.strictEqual(1, 2, 'one is not two');
            export const small = () => assert.strictEqual(1, 2);
            export const project = async () => divide(1, 0);
            export const library = () => JSON.parse('{');
            export const wrapped = () => { throw new Error('outer', { cause: new TypeError('inner') }); };
            export const text = () => { throw 'just text'; };
            export const rejects = () => Promise.reject(new RangeError('later'));
            export const skips = () => { const error = new Error('no network'); error.name = 'Skip'; throw error; };
        """,
        src_mjs="export function divide(a, b) {\n  if (b === 0) throw new RangeError('by zero');\n  return a / b;\n}\n",
    )
    with project.collected() as runner:
        came = runner.run()
        assert came.verdicts() == {**dict.fromkeys(came.outcomes, "failed"), "skips": "skipped"}
        differs = came.detail("differs")
        assert differs.kind == "assertion"
        assert "+     2" in differs.text.replace("+   2", "+     2")
        assert "-     3" in differs.text.replace("-   3", "-     3")
        frame = differs.frames[-1]
        assert (frame.file, frame.line, frame.function) == ("a.test.mjs", 4, "differs")
        assert "assert.deepStrictEqual" in frame.source
        assert came.detail("said").message == "AssertionError: one is not two"
        assert "expected: 2" in came.detail("said").text
        assert came.detail("small").message.endswith("strictly equal: 1 !== 2")
        assert "expected { a: 1, b: [ 1, 3 ] }, got { a: 1, b: [ 1, 2 ] }" in differs.message
        inner = came.detail("project")
        assert (inner.kind, inner.message, inner.frames[-1].file, inner.frames[-1].line) == (
            "project", "RangeError: by zero", "src.mjs", 2
        )  # fmt: skip
        assert [frame.file for frame in inner.frames] == ["a.test.mjs", "src.mjs"]
        assert came.detail("library").kind == "test"
        assert "caused by: TypeError: inner" in came.detail("wrapped").text
        assert came.detail("text").message == "threw 'just text', which is no Error"
        assert came.detail("rejects").message == "RangeError: later"
        assert came.detail("skips").message == "no network"
        assert "/testd" not in differs.text
        assert came.exited.completed


@pytest.mark.every_node
def test_output_is_kept_for_the_test_that_fails(project: Project) -> None:
    project.write(
        a_test_mjs="""
            export const quiet = () => { console.log('nobody sees this'); };
            export const loud = async () => {
              console.log('one', { a: 1 });
              await null;
              process.stdout.write(Buffer.from('two\\n'));
              console.error('three');
              throw new Error('so');
            };
            export const flood = () => {
              for (let n = 0; n < 3e5; n++) console.log('x'.repeat(100));
              throw new Error('so');
            };
        """
    )
    with project.collected() as runner:
        came = runner.run()
        assert came.outcomes["quiet"].detail is None
        assert [(section.name, section.text) for section in came.detail("loud").sections] == [
            ("Captured stdout call", "one { a: 1 }\ntwo\n"), ("Captured stderr call", "three\n"),
        ]  # fmt: skip
        flood = came.detail("flood").sections[0].text
        assert len(flood) < 70_000
        assert "characters left out" in flood


@pytest.mark.every_node
def test_errors_that_nobody_handles_are_put_down_to_their_test(project: Project) -> None:
    project.write(
        a_test_mjs="""
            export const forgets = () => { Promise.reject(new Error('forgotten')); };
            export const throws_later = () => new Promise(() => {
              setTimeout(() => { throw new Error('in a callback'); }, 1);
            });
            export const fine = () => {};
            let arrived;
            const arrival = new Promise((resolve) => { arrived = resolve; });
            export const leaves = () => {
              setTimeout(() => { Promise.reject(new Error('much later')); arrived(); }, 50);
            };
            export const meets = () => arrival;
        """
    )
    with project.collected() as runner:
        came = runner.run()
        assert came.verdicts() == {
            "forgets": "failed", "throws_later": "failed", "fine": "passed", "leaves": "passed", "meets": "passed",
        }  # fmt: skip
        assert came.detail("forgets").message == "Error: forgotten"
        assert came.detail("throws_later").message == "Error: in a callback"
        assert came.detail("leaves").leaks == ["a timer"]
        assert came.detail("meets").leaks == [
            "a.test.mjs::leaves left behind an error that nobody handled: Error: much later"
        ]


@pytest.mark.every_node
def test_what_a_test_leaves_behind_is_named(project: Project) -> None:
    project.write(
        a_test_mjs="""
            import { spawn } from 'node:child_process';
            import { createServer } from 'node:net';
            import { Worker } from 'node:worker_threads';
            export const tidy = async () => {
              const server = createServer();
              await new Promise((resolve) => server.listen(0, resolve));
              await new Promise((resolve) => server.close(resolve));
              clearTimeout(setTimeout(() => {}, 1000));
            };
            export const timer = () => { setInterval(() => {}, 1000); };
            export const server = () => new Promise((resolve) => { createServer().listen(0, resolve); });
            export const child = () => { spawn('sleep', ['1000']); };
            export const worker = () => { new Worker('setInterval(() => {}, 1000)', { eval: true }); };
        """
    )
    with project.collected() as runner:
        came = runner.run()
        assert set(came.verdicts().values()) == {"passed"}
        assert came.outcomes["tidy"].detail is None
        assert came.detail("timer").leaks == ["a timer"]
        assert came.detail("server").leaks == ["a TCP server"]
        (child,) = [leak for leak in came.detail("child").leaks if "child process" in leak]
        assert child.endswith("(sleep 1000)")
        assert [leak for leak in came.detail("worker").leaks if "worker thread" in leak]
