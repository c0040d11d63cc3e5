"""Suites made of recorded calls of the example shop, from the command line: recorded, broken by a bug, put right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typist import Typist

import interpreters

SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop"
MOCKS = [word for name in ("stock:price_of", "stock:take", "payments:charge") for word in ("--mock", f"shop.{name}")]
PLACE = ["--function", "shop.orders:place"]


@pytest.fixture
def shop(cli):
    """The shop, and what its functions did when it ran once."""
    shutil.copytree(SHOP, cli.project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.suite.json", "__pycache__"))
    demo = {"execution_id": "demo", "code": "import demo; demo.main()", "input_to_pass": [{}]}
    (cli.project / "demo.json").write_text(json.dumps({"functions_to_run": [demo]}))
    done = cli.run("run-file", "demo.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return cli


def cases(shop, name="place"):
    return {case["name"]: case for case in json.loads((shop.project / f"{name}.suite.json").read_text())["test_cases"]}


def break_it(shop):
    orders = shop.project / "shop" / "orders.py"
    orders.write_text(orders.read_text().replace("amount >= 10", "amount > 10"))


def test_a_recorded_suite_passes_until_the_code_does_something_else(shop):
    recorded = shop.run("suite", "record", "demo.json", *PLACE, *MOCKS)
    assert (recorded.returncode, recorded.stdout) == (0, "place.suite.json: 2 cases\n"), recorded.stderr
    assert "place: output order differs from run to run: it is ignored" in recorded.stderr
    assert cases(shop)["place"]["assertions"][0]["ignore"] == ["order", "at"]
    assert sorted(path.name for path in shop.project.rglob("*.json")) == ["demo.json", "place.suite.json"]
    assert shop.run("suite", "run").returncode == 0
    break_it(shop)
    failed = shop.run("suite", "run")
    assert failed.returncode == 1
    assert "output['cents']: expected 5250, actual 5700" in failed.stdout
    assert "call of shop.orders:discount" in failed.stdout
    assert "1 failed, 1 passed" in failed.stdout


def test_what_differs_is_shown_and_taken_over_if_that_is_agreed_to(shop):
    shop.run("suite", "record", "demo.json", *PLACE, *MOCKS)
    before = (shop.project / "place.suite.json").read_bytes()
    break_it(shop)
    shown = shop.run("suite", "update")
    assert (shown.returncode, shown.stdout.splitlines()) == (1, [
        "place.suite.json::place",
        "    output cents: 5250 → 5700",
        "    total: output: 5250 → 5700",
        "    total: discount: output: 4050 → 4500",
        "1 case does not hold",
    ])  # fmt: skip
    assert (shop.project / "place.suite.json").read_bytes() == before
    for answer, status in (("n\r", 1), ("y\r", 0)):
        with Typist(shop.command("suite", "update"), cwd=shop.project, env=shop.environment) as person:
            person.until("expect this from now on? [y/N]")
            person.type(answer)
            assert person.ended()[0] == status
        assert ((shop.project / "place.suite.json").read_bytes() == before) is (answer == "n\r")
    assert shop.run("suite", "run").returncode == 0
    again = shop.run("suite", "update", "--yes")
    assert (again.returncode, again.stdout) == (0, "all cases hold\n")


def test_what_a_call_needs_beside_its_input_is_told(shop):
    """Without mocks there is no payment service: the cases expect what comes, and that is said."""
    recorded = shop.run("suite", "record", "demo.json", *PLACE, "-o", "real.suite.json", "--name", "for real")
    assert recorded.returncode == 0
    assert "place: it raises shop.stock:OutOfStock: there is no article 'tea'" in recorded.stderr
    assert json.loads((shop.project / "real.suite.json").read_text())["name"] == "for real"


def test_what_cannot_be_recorded_is_told_and_nothing_is_written(shop):
    (shop.project / "there.suite.json").write_text("mine")
    (shop.project / "empty.json").write_text("{}")
    before = sorted(path.name for path in shop.project.iterdir())
    for words, said in (
        (["nope.json"], "nope.json: No such file or directory"),
        (["demo.py"], "demo.py is no JSON"),
        (["empty.json"], "empty.json holds no executed function"),
        (["demo.json", "--function", "shop:nope"], "there is no recorded call of it\nThere are calls of shop.stock:c"),
        (["demo.json", *PLACE, "--mock", "a:b"], "--mock a:b: no recorded call of it"),
        (["demo.json", *PLACE, "-o", "x.json"], "the name of a suite's file ends with .suite.json"),
        (["demo.json", *PLACE, "-o", "there.suite.json"], "there.suite.json is there already"),
    ):
        done = shop.run("suite", "record", *words)
        assert done.returncode == 4
        assert said in done.stderr
        assert (shop.project / "there.suite.json").read_text() == "mine"
        assert sorted(path.name for path in shop.project.iterdir()) == before


def test_what_a_program_did_becomes_a_suite_that_passes_on_another_version_too(shop):
    program = shop.run("record", sys.executable, "demo.py")
    assert program.returncode == 0, program.stderr
    listed = json.loads(shop.run("traces", "--name", "place", "--format", "json").stdout.splitlines()[0])
    failed, placed = (listed["trace"], shop.run("traces", "--name", "place").stdout.splitlines()[1].split()[0])
    recorded = shop.run("suite", "record", failed[:8], placed, *MOCKS)
    assert (recorded.returncode, recorded.stdout) == (0, "place.suite.json: 2 cases\n"), recorded.stderr
    oldest = interpreters.found()
    done = shop.run("suite", "run", "--target", next(iter(oldest)), "--target", list(oldest)[-1])
    assert done.returncode == 0
    assert "4 passed" in done.stdout
    unknown = shop.run("suite", "record", "abcdef0123")
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert "there is no trace abcdef0123" in unknown.stderr


def test_executed_functions_come_from_standard_input_too(shop):
    (item,) = json.loads((shop.project / "demo.json").read_text())["functions_to_run"]
    text = json.dumps(item["executed_functions"])
    done = subprocess.run(
        shop.command("suite", "record", "-", *PLACE, *MOCKS), input=text, cwd=shop.project, env=shop.environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "place.suite.json: 2 cases\n")
