"""Which tests there are, and what is said of files that have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from javascript import Project

from testd_runners.choose import choose
from testd_runners.launcher import LaunchSettings


@pytest.mark.every_node
def test_every_export_that_is_a_function_is_a_test(project: Project) -> None:
    project.write(
        a_test_mjs="""
            import { helper } from './lib/helper.mjs';
            export function zebra() {}
            export async function ape() { helper(); }
            export const fox = () => {};
            export const number = 1;
            export default function () {}
        """,
        b_test_js="exports.one = () => {};\nexports.two = async () => {};\n",
        c_test_cjs="module.exports = { three() {}, four: () => {} };\n",
        lib__helper_mjs="export const helper = () => {};\n",
        sub__d_test_mjs="export const five = () => {};\n",
    )
    (project.root / "node_modules").mkdir()
    (project.root / "node_modules" / "n.test.js").write_text("exports.never = () => {};\n")
    (project.root / ".hidden").mkdir()
    (project.root / ".hidden" / "h.test.js").write_text("exports.never = () => {};\n")
    with project.runner() as runner:
        assert runner.collect() == [
            "a.test.mjs::zebra", "a.test.mjs::ape", "a.test.mjs::fox", "a.test.mjs::default",
            "b.test.js::one", "b.test.js::two", "c.test.cjs::three", "c.test.cjs::four", "sub/d.test.mjs::five",
        ]  # fmt: skip
        assert set(runner.run().verdicts().values()) == {"passed"}


@pytest.mark.every_node
def test_typescript_where_node_takes_it_and_a_notice_elsewhere(project: Project, version: str) -> None:
    project.write(
        a_test_ts="export function typed(): void { const one: number = 1; if (one !== 1) throw new Error('no'); }\n",
        b_test_mjs="export const plain = () => {};\n",
    )
    with project.runner() as runner:
        ids = runner.collect()
        assert runner.last is not None
        if int(version) >= 22:
            assert ids == ["a.test.ts::typed", "b.test.mjs::plain"]
            assert runner.run().verdicts() == {"typed": "passed", "plain": "passed"}
        else:
            assert ids == ["b.test.mjs::plain"]
            assert "1 TypeScript test file left out" in runner.last.notices[0]


def test_lines_names_and_their_mistakes(project: Project) -> None:
    project.write(a_test_mjs="export function one() {}\n\nexport function two() {\n}\n")
    with project.runner() as runner:
        assert runner.collect("a.test.mjs::two") == ["a.test.mjs::two"]
        assert runner.collect("a.test.mjs:4") == ["a.test.mjs::two"]
        fault = runner.fault("a.test.mjs::tow")
        assert (fault.code, fault.exit_code) == ("usage", 4)
        assert "a.test.mjs has no test 'tow'" in fault.message
        assert "one, two" in fault.hint
        assert "no such file or folder: b.test.mjs" in runner.fault("b.test.mjs").message
        assert runner.collect() == ["a.test.mjs::one", "a.test.mjs::two"]


@pytest.mark.every_node
def test_files_that_do_not_load_are_errors_and_the_rest_is_there(project: Project) -> None:
    project.write(
        a_test_mjs="export const fine = () => {};\n",
        b_test_mjs="export const broken = () => {;\n",
        c_test_js="require('./nowhere');\n",
        d_test_mjs="import { nothing } from 'no-such-package';\n",
        e_test_mjs="throw new TypeError('at its top');\n",
        f_test_mjs="process.exit(3);\n",
        g_test_js="const error = new Error('on Tuesdays only'); error.name = 'Skip'; throw error;\n",
    )
    with project.runner() as runner:
        assert runner.collect() == ["a.test.mjs::fine"]
        assert runner.last is not None
        errors = {error.id: error for error in runner.last.errors}
        kinds = {name: error.detail.kind for name, error in errors.items()}
        assert kinds == {
            "b.test.mjs": "syntax", "c.test.js": "import", "d.test.mjs": "import", "e.test.mjs": "test",
            "f.test.mjs": "crash", "g.test.js": None,
        }  # fmt: skip
        assert "exit status 3" in errors["f.test.mjs"].detail.message
        assert errors["e.test.mjs"].detail.message == "TypeError: at its top"
        assert errors["e.test.mjs"].detail.frames[-1].file == "e.test.mjs"
        place = errors["b.test.mjs"].detail.frames[-1]
        assert (place.file, place.line) == ("b.test.mjs", 2)
        assert (errors["g.test.js"].verdict, errors["g.test.js"].detail.message) == ("skipped", "on Tuesdays only")
        assert runner.run("fine").verdicts() == {"fine": "passed"}


def test_what_is_exported_and_cannot_be_a_test_is_told(project: Project) -> None:
    project.write(
        a_test_mjs="""
            export function takes(one, two) {}
            export function* generates() {}
            export class Suite {}
        """
    )
    with project.collected() as runner:
        assert runner.last is not None
        assert runner.last.notices == ["a.test.mjs: Suite not run: tests are exported functions, not classes"]
        came = runner.run()
        assert came.verdicts() == {"takes": "error", "generates": "error"}
        assert "it takes 2 parameters" in came.detail("takes").message
        assert "generator function" in came.detail("generates").message


@pytest.mark.every_node
def test_everything_that_was_loaded_or_read_is_told(project: Project) -> None:
    project.write(
        a_test_mjs="""
            import { readFileSync } from 'node:fs';
            import { b } from './b.mjs';
            import c from './c.cjs';
            const table = readFileSync(new URL('./table.txt', import.meta.url), 'utf8');
            export const one = () => [b, c, table];
        """,
        b_mjs="export const b = 1;\n",
        c_cjs="module.exports = require('./d.json');\n",
        d_json="{}\n",
        table_txt="…",
    )
    with project.collected() as runner:
        told = {stat.path: stat for said in runner.dependencies for stat in said.files}
        for name in ("a.test.mjs", "b.mjs", "c.cjs", "d.json", "table.txt"):
            assert told[str(project.root / name)].size == (project.root / name).stat().st_size
        assert told[str(project.root / "package.json")].mtime_ns == -1
        folders = {folder.path: folder for said in runner.dependencies for folder in said.directories}
        assert folders[str(project.root)].names == ["a.test.mjs"]
        assert {said.checkpoint for said in runner.dependencies} == {"started", "configured", "collected"}


@pytest.mark.every_node
def test_packages_above_the_project_are_noticed(project: Project, tmp_path: Path) -> None:
    for name in ("picked", "other"):
        package = tmp_path / "node_modules" / name
        package.mkdir(parents=True)
        (package / "index.js").write_text("exports.up = true;\n")
    project.write(a_test_mjs="import { up } from 'picked';\nexport const one = () => up;\n")
    with project.runner() as runner:
        runner.collect()
        assert runner.last is not None
        assert runner.last.notices[0].startswith(f"picked loaded from {tmp_path / 'node_modules'}, which is outside")
        project.write(a_test_mjs="export const one = () => {};\n")
        with project.collected() as other:
            assert other.last is not None
            outside = f"{tmp_path / 'node_modules'} is outside the project, and its packages (other, picked)"
            assert outside in other.last.notices[0]
        (tmp_path / "package.json").write_text('{"workspaces": ["project"]}')
        with project.collected() as other:
            assert other.last is not None
            assert other.last.notices == []


def test_what_cannot_be_started_is_told(project: Project, tmp_path: Path) -> None:
    project.write(a_test_mjs="export const one = () => {};\n")
    with project.runner(arguments=["--no-such-option"]) as runner:
        fault = runner.fault()
        assert (fault.code, fault.message) == ("collect", "the thread that collects the tests ended: exit status 9")
        assert "bad option: --no-such-option" in fault.detail
    with project.runner(cwd=str(tmp_path / "gone")) as runner:
        fault = runner.fault()
        assert "cannot be started again" in fault.message
    with project.runner(environment={"TOO_LONG": "x" * 3_000_000}) as runner:
        fault = runner.fault()
        assert "E2BIG" in fault.message


def test_a_runtime_that_is_no_node_says_so(project: Project) -> None:
    launcher = choose("node")
    settings = LaunchSettings("/old/node", "/cache/testd-1", "/work", {"A": "1", "NODE_OPTIONS": "--bad"})
    command = launcher.command(settings)
    assert command.argv == ("/old/node", "/cache/testd-1/node/main.js", "--fd", "{channel}")
    assert (command.env, command.cwd, command.channel) == ({"A": "1"}, "/work", "socketpair")
    told = "testd runs tests on Node.js 18 and later; /old/node is 16.20.0\n"
    explained = launcher.explain(settings, 4, told)
    assert explained is not None
    assert explained.message == told.strip()
    assert launcher.explain(settings, 1, "out of memory") is None


@pytest.mark.every_node
def test_who_imports_whom_is_told_with_what_was_collected(project: Project) -> None:
    """It came behind the last page, when the thread belonged to a worker, and was lost."""
    project.write(
        a_test_mjs="import { helper } from './lib/helper.mjs';\nexport function one() { helper(); }\n",
        lib__helper_mjs="export const helper = () => {};\n",
    )
    with project.runner() as runner:
        runner.collect()
        (modules,) = runner.modules
        assert sorted(modules.files) == ["a.test.mjs", "lib/helper.mjs"]
        assert modules.imports == {"a.test.mjs": ["lib/helper.mjs"]}
        assert (modules.collection, modules.worker) == (runner.collection, 0)
