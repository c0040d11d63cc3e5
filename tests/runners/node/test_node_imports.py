"""Who imports whom among JavaScript files, however it is written: what selection by imports goes by."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import nodes

IMPORTS = Path(__file__).resolve().parents[3] / "runners" / "node" / "imports.js"
PACKAGE = {
    "name": "prices",
    "imports": {"#cart": {"require": "./lib/cart.cjs", "default": "./lib/cart.mjs"}, "#lib/*": "./lib/*.mjs"},
    "exports": {".": "./main.mjs", "./more/*": ["./lib/*.mjs"]},
}
LIBRARY = (
    "lib/cart.mjs", "lib/cart.cjs", "lib/far.mjs", "lib/index.js", "main.mjs", "table.json", "other/kit/start.js"
)  # fmt: skip


def imported(root: Path, version: str, source: str, by: str = "") -> set[str]:
    """Return what a test file (or `by`) imports itself, as it is told."""
    name = "a.test.mjs"
    for file in LIBRARY:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    (root / "package.json").write_text(json.dumps(PACKAGE))
    (root / "other/kit/package.json").write_text('{"name": "kit", "main": "start"}')
    (root / "node_modules/plain").mkdir(parents=True, exist_ok=True)
    (root / "node_modules/plain/index.js").touch()
    if not (root / "node_modules/kit").is_symlink():
        (root / "node_modules/kit").symlink_to(root / "other/kit")
    (root / name).write_text(source)
    loaded = [str(root / file) for file in (*LIBRARY, name)]
    code = f"console.log(JSON.stringify(require({str(IMPORTS)!r}).importsAmong(...JSON.parse(process.argv[1]))))"
    given = json.dumps([loaded, str(root), [str(root / name)]])
    done = subprocess.run([nodes.found()[version], "-e", code, given], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["files"][name] == str(root / name)
    return set(said["imports"].get(by or name, ()))


@pytest.mark.every_node
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import { a } from './lib/cart.mjs';", {"lib/cart.mjs"}),
        ("import {\n  a,\n} from\n  './lib/cart.mjs';", {"lib/cart.mjs"}),
        ("import './lib/cart.mjs';", {"lib/cart.mjs"}),
        ("export * from './lib/cart.mjs';", {"lib/cart.mjs"}),
        ("export { default } from './lib/cart.mjs?again=1';", {"lib/cart.mjs"}),
        ("import table from './table.json' with { type: 'json' };", {"table.json"}),
        ("const cart = await import('./lib/cart.mjs');", {"lib/cart.mjs"}),
        ("const cart = require('./lib/cart.cjs');", {"lib/cart.cjs"}),
        ("const lib = require('./lib');", {"lib/index.js"}),
        ("const table = require('./table');", {"table.json"}),
        ("new Worker(new URL('./lib/far.mjs', import.meta.url));", {"lib/far.mjs"}),
        ("import { a } from '#cart';", {"lib/cart.mjs", "lib/cart.cjs"}),
        ("import { a } from '#lib/far';", {"lib/far.mjs"}),
        ("import { a } from 'prices';", {"main.mjs"}),
        ("import { a } from 'prices/more/far';", {"lib/far.mjs"}),
        ("import { a } from 'kit';", {"other/kit/start.js"}),
        ("import assert from 'node:assert'; import fs from 'fs'; import plain from 'plain';", set()),
        ("import { a } from './not-there-yet.mjs';", set()),
        ("import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);", set()),
    ],
)
def test_what_is_named_is_found(tmp_path: Path, version: str, source: str, found: set[str]) -> None:
    assert imported(tmp_path, version, source) == found


@pytest.mark.every_node
@pytest.mark.parametrize(
    "source",
    [
        "const name = 'cart'; await import(`./lib/${name}.mjs`);",
        "await import('./lib/' + 'cart.mjs');",
        "require(name);",
        "await import(/* the cart */ './lib/cart.mjs');",
        "import { createRequire } from 'module'; const load = createRequire(import.meta.url); load('./lib/cart.cjs');",
        "import { a } from '#unknown';",
        "import { a } from 'nowhere';",
    ],
)
def test_what_only_a_run_could_tell_is_anything(tmp_path: Path, version: str, source: str) -> None:
    assert imported(tmp_path, version, source) == set(LIBRARY)


def test_what_is_imported_while_tests_run_counts_with_all_that_it_imports(tmp_path: Path, version: str) -> None:
    """A module that no test file had loaded was unknown, and so was what it imports: an edit there missed the test."""
    (tmp_path / "late.mjs").write_text("import './lib/far.mjs';")
    source = "export async function late() { await import('./late.mjs'); }"
    assert imported(tmp_path, version, source) == {"late.mjs"}
    assert imported(tmp_path, version, source, by="late.mjs") == {"lib/far.mjs"}
