"""Functions of a workflow from outside: found, given their API, called, on every Python that is found."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

import interpreters

HERE = Path(__file__).resolve().parent
SOURCE = str(HERE.parents[2] / "runners")
#: A driver that is not done by then hangs.
DEADLINE = 60


class Functions:
    """A workspace with a folder of functions."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self.python = python

    def write(self, name: str, text: str) -> None:
        path = self.root / "functions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def call(self, *names: str, calls=None, store=None, secrets=None, packages=()) -> SimpleNamespace:
        paths = [*(f"+{folder}" for folder in packages), *(f"functions::{name}" for name in names)]
        asked = {"source": SOURCE, "root": str(self.root), "paths": paths, "calls": calls or [{}] * len(names),
                 "store": store or {}, "secrets": secrets or {}}  # fmt: skip
        with tempfile.TemporaryFile("w+") as answer:
            done = subprocess.run(
                [self.python, str(HERE / "functions_driver.py"), str(answer.fileno())], input=json.dumps(asked),
                text=True, pass_fds=[answer.fileno()], capture_output=True, timeout=DEADLINE, check=False,
                env={key: value for key, value in os.environ.items() if not key.startswith(("TESTD_", "PYTEST_"))},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            answer.seek(0)
            told = SimpleNamespace(**json.load(answer), printed=done.stdout)
        told.verdicts = [verdict for verdict, _ in told.outcomes]
        told.values = [ended["value"] for ended in told.ended]
        told.texts = [detail["text"] if detail else "" for _, detail in told.outcomes]
        return told


@pytest.fixture(params=interpreters.found())
def functions(request, tmp_path) -> Functions:
    return Functions(tmp_path, interpreters.found()[request.param])


def test_the_api_is_there_without_an_import_and_with_one(functions):
    """Fact 28: `faasr_log` injected, and from the public system's module."""
    functions.write("a.py", "def plain():\n    faasr_log('plain')\n    return faasr_rank()['rank'] == 2")
    functions.write("b.py", """
        from FaaSr_py.client.py_client_stubs import faasr_log, faasr_invocation_id
        def imports():
            faasr_log(faasr_invocation_id())
    """)
    functions.write("c.py", """
        from testd.workflows.functions import faasr_log
        def ours():
            faasr_log("ours")
    """)
    told = functions.call("plain", "imports", "ours", calls=[{"rank": 2, "max_rank": 3}, {}, {}])
    assert told.verdicts == ["passed"] * 3, told.texts
    assert told.values == [True, None, None]
    assert [text for _, _, text in told.log] == ["plain", "inv-1", "ours"]


def test_files_travel_in_pieces_and_in_a_folder_of_their_own(functions):
    functions.write("a.py", """
        import os
        def writes():
            assert os.listdir(".") == []
            with open("big.txt", "w") as file:
                file.write("0123456789" * 100_000)
            open("empty.txt", "w").close()
            faasr_put_file("big.txt", "big.txt", remote_folder="in")
            faasr_put_file(local_file="empty.txt", remote_file="in/empty.txt")
        def reads():
            assert os.listdir(".") == []
            faasr_get_file(local_file="copy.txt", remote_file="big.txt", remote_folder="in")
            assert os.path.getsize("copy.txt") == 1_000_000
            assert faasr_get_folder_list(prefix="in") == ["in/big.txt", "in/empty.txt"]
            faasr_delete_file("empty.txt", remote_folder="in")
    """)
    told = functions.call("writes", "reads")
    assert told.verdicts == ["passed", "passed"], told.texts
    assert list(told.store) == ["in/big.txt"]
    assert len(told.store["in/big.txt"]) == 1_000_000
    assert os.listdir(functions.root) == ["functions"]


def test_what_a_function_may_return(functions):
    """Fact 18, and the forms that the public system takes."""
    good = {"True": True, "False": False, "None": None, "1": True, "0.0": False, "'Yes'": True, "'off'": False}
    bad = ["'hello'", "2", "[]", "{}", "0.5"]
    for number, value in enumerate([*good, *bad]):
        functions.write(f"f{number}.py", f"def f{number}():\n    return {value}")
    told = functions.call(*(f"f{number}" for number in range(len(good) + len(bad))))
    assert told.verdicts == ["passed"] * len(good) + ["failed"] * len(bad)
    assert told.values == [*good.values(), *[None] * len(bad)]
    assert all("it may return True, False or None" in text for text in told.texts[len(good):])


def test_how_a_function_may_end_itself(functions):
    """Fact 23, and `faasr_return` and `faasr_exit`."""
    functions.write("a.py", """
        import sys
        def exits(status): sys.exit(status)
        def returns():
            faasr_return(False)
        def gives_up(error):
            faasr_exit("no input", error=error)
    """)
    calls = [{"arguments": json.dumps(each)} for each in ({"status": 3}, {"status": 0}, {"status": "bad"}, {},
                                                          {"error": True}, {"error": False})]  # fmt: skip
    told = functions.call("exits", "exits", "exits", "returns", "gives_up", "gives_up", calls=calls)
    assert told.verdicts == ["failed", "passed", "failed", "passed", "failed", "passed"]
    assert told.values == [None, None, None, False, None, None]
    assert "in exits\n    def exits(status): sys.exit(status)\n" in told.texts[0]
    assert told.texts[0].endswith("\nthe function exited with status 3")
    assert 'in gives_up\n    faasr_exit("no input", error=error)\n' in told.texts[4]
    assert told.texts[4].endswith("\nno input")
    assert not any("testd/invocation" in text for text in told.texts)


def test_a_failure_is_told_with_all_that_led_to_it(functions):
    """Fact 22: the full chained traceback, without frames of ours."""
    functions.write("a.py", """
        def fails():
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("boom") from error
    """)
    told = functions.call("fails")
    assert told.verdicts == ["failed"]
    text = told.texts[0]
    assert "ZeroDivisionError" in text
    assert "direct cause" in text
    assert text.endswith("ValueError: boom\n")
    assert "invocation/suite.py" not in text
    assert told.outcomes[0][1]["message"] == "ValueError: boom"


def test_errors_of_the_api_can_be_caught(functions):
    """Facts 24 and 27: not caught they are how the function failed."""
    functions.write("a.py", """
        def gets(): faasr_get_file("x", "nope.txt")
        def puts(): faasr_put_file("nolocal.txt", "x")
        def asks(): faasr_secret("NON_EXISTENT_SECRET")
        def says_nothing(): faasr_log("")
        def catches():
            try:
                faasr_get_file("x", "nope.txt")
            except Exception as error:
                faasr_log(type(error).__name__)
            return faasr_secret("TEST_SECRET") == "s3cret"
    """)
    told = functions.call("gets", "puts", "asks", "says_nothing", "catches", secrets={"TEST_SECRET": "s3cret"})
    assert told.verdicts == ["failed"] * 4 + ["passed"]
    assert "S3 object not found: s3://bucket/nope.txt" in told.texts[0]
    assert "Local file not found: nolocal.txt" in told.texts[1]
    assert "faasr_secret: Secret 'NON_EXISTENT_SECRET' not found in environment variables" in told.texts[2]
    assert "the message is empty" in told.texts[3]
    assert told.values[4] is True
    assert [text for _, _, text in told.log] == ["Refused"]


def test_files_import_each_other_and_one_that_lacks_an_import_is_passed_over(functions):
    """Fact 29: relative imports, names that begin with a digit; a missing import is a warning."""
    functions.write("01_create_input.py", """
        from .utils.enums import Colour
        from .other_file import helper
        import top
        def create_input(): return Colour.RED.value == 1 and helper() and top.NAME == "top"
    """)
    functions.write("utils/enums.py", "import enum\nclass Colour(enum.Enum):\n    RED = 1")
    functions.write("other_file.py", "def helper(): return True")
    functions.write("top.py", "NAME = 'top'")
    functions.write("00_broken.py", "import no_such_module_at_all")
    told = functions.call("create_input")
    assert (told.verdicts, told.values) == (["passed"], [True]), told.texts
    warning = "Skipping 00_broken.py due to import error: No module named 'no_such_module_at_all'"
    assert told.log == [["note", "WARNING", warning]]


def test_a_file_that_cannot_be_compiled_makes_the_function_fail(functions):
    """Fact 29: a sibling with a SyntaxError."""
    functions.write("a.py", "def fine(): pass")
    functions.write("b.py", "def (:")
    told = functions.call("fine")
    assert told.verdicts == ["failed"]
    assert "SyntaxError" in told.texts[0]
    assert "b.py" in told.texts[0]


def test_a_function_that_is_nowhere_is_told_with_what_was_passed_over(functions):
    functions.write("a.py", "import no_such_module_at_all\ndef gone(): pass")
    told = functions.call("gone")
    assert told.verdicts == ["failed"]
    assert "there is no function gone in" in told.texts[0]
    assert "No module named 'no_such_module_at_all'" in told.texts[0]


def test_a_module_may_use_the_api_while_it_is_imported(functions):
    functions.write("a.py", """
        from FaaSr_py.client.py_client_stubs import faasr_invocation_id
        FOLDER = faasr_invocation_id()
        def late(): return FOLDER == "inv-1"
    """)
    told = functions.call("late")
    assert (told.verdicts, told.values) == (["passed"], [True]), told.texts
    assert told.ended[0]["loading"] > 0


def test_a_process_that_a_function_starts_may_not_use_the_api(functions):
    functions.write("a.py", """
        import os
        def forks():
            reader, writer = os.pipe()
            pid = os.fork()
            if not pid:
                try:
                    faasr_log("from below")
                except Exception as error:
                    os.write(writer, str(error).encode())
                os._exit(0)
            os.waitpid(pid, 0)
            faasr_log(os.read(reader, 1000).decode())
    """)
    told = functions.call("forks")
    assert told.verdicts == ["passed"], told.texts
    assert ["not in one that it started" in text for _, _, text in told.log] == [True]


@pytest.mark.usefixtures("rscript")
def test_a_function_in_r_has_the_same_api(functions):
    functions.write("a.R", """
        f <- function(text) {
          writeLines(text, "x")
          faasr_put_file("x", "x.txt", remote_folder = "in")
          faasr_log(faasr_rank()$rank)
          faasr_log(dirname(dirname(normalizePath(tempdir()))) == getwd())
          TRUE
        }
    """)
    told = functions.call("f@R", calls=[{"arguments": '{"text": "a\\tü"}', "rank": 2}])
    assert (told.verdicts, told.values) == (["passed"], [True]), told.texts
    assert told.store == {"in/x.txt": "a\tü\n"}
    assert told.log == [["log", "INFO", "2"], ["log", "INFO", "TRUE"]], "what a killed R leaves goes with the folder"


def test_packages_arguments_variables_and_what_is_printed(functions, tmp_path):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "only_there.py").write_text("VALUE = 5")
    functions.write("a.py", """
        import os, only_there
        def adds(a, b=0):
            print("adding")
            return only_there.VALUE == a + b and os.environ["TOKEN"] == "t"
    """)
    calls = [{"arguments": '{"a": 2, "b": 3}', "environment": {"TOKEN": "t"}}]
    told = functions.call("adds", calls=calls, packages=[str(tmp_path / "packages")])
    assert (told.verdicts, told.values, told.printed) == (["passed"], [True], "adding\n"), told.texts
    wrong = functions.call("adds", calls=[{"arguments": '{"c": 2}'}], packages=[str(tmp_path / "packages")])
    assert "unexpected keyword argument 'c'" in wrong.texts[0]
