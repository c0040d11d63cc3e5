"""`testd pytest` beside `pytest`: the same words, folder and variables give the same bytes and the same end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from house import House, survivors
from terminal import Terminal

BIN = Path(sys.executable).parent
PYTEST, TESTD = str(BIN / "pytest"), str(BIN / "testd")
DEADLINE = 110.0
#: Taken out of both sides: how long it took, and where in memory something was.
_VARYING = re.compile(rb"\d+\.\d\ds(?: \(\d:\d\d:\d\d\))?|0x[0-9a-f]{6,}|(?<=time=\")[\d.]+|(?<=timestamp=\")[^\"]+")
_RULES = re.compile(rb"^(=+)( .* in \*.*?)(=+)$", re.MULTILINE)

SUITE = '''
import os, sys, warnings
import pytest

@pytest.fixture
def number():
    print("set up", file=sys.stderr)
    yield 41

def test_passes(number):
    assert number + 1 == 42

def test_fails(number):
    print("printed")
    values = {"a": [1, 2, 3], "b": number}
    assert values == {"a": [1, 2, 4], "b": 41}

@pytest.mark.parametrize("word", ["a", "b"])
def test_words(word):
    assert word

@pytest.mark.skip(reason="not now")
def test_skipped():
    pass

@pytest.mark.xfail
def test_expected():
    assert False

def test_warns():
    warnings.warn("old", DeprecationWarning)

def test_what_a_process_has(tmp_path):
    assert sys.argv[1:] == os.environ["EXPECTED"].split("\\x1f"), sys.argv
    assert os.getcwd() == os.environ["PWD"]
    assert sys.modules["__main__"].__file__ == sys.argv[0]
    assert "testd" not in sys.modules
    assert not any("testd" in type(finder).__module__ for finder in sys.meta_path)
'''
CONFTEST = '''
import sys

def pytest_report_header(config):
    return ["path: " + repr(sys.path), "main: " + repr(sorted(vars(sys.modules["__main__"])))]
'''


class Both:
    """A project, and the two commands side by side."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.environment = {**house.environment, "VIRTUAL_ENV": str(BIN.parent), "COLUMNS": "100"}

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)

    def one(self, program: list[str], words: list[str], **more: object) -> tuple[int, bytes, bytes]:
        cwd = Path(str(more.pop("cwd", self.folder)))
        given = {"PWD": str(cwd), "EXPECTED": "\x1f".join(words)}
        variables = {**self.environment, **given, **more.pop("env", {})}  # type: ignore[dict-item]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run(
            [*program, *words], cwd=cwd, env=variables, timeout=DEADLINE, check=False, **{**streams, **more}
        )  # type: ignore[call-overload]
        return done.returncode, _even(done.stdout or b""), _even(done.stderr or b"")

    def same(self, *words: str, warm: bool = True, **more: object) -> tuple[int, bytes, bytes]:
        """Run both; the warm one must say that it was. Returns what both gave."""
        told = [*words, "-v", "-q"]
        plain = self.one([PYTEST], told, **dict(more))
        code, out, err = self.one([TESTD, "pytest"], told, **dict(more))
        first, _, rest = err.partition(b"\n")
        assert first.startswith(b"testd: warm: " if warm else b"testd: plain: "), err
        assert (code, out.decode(), rest.decode()) == (plain[0], plain[1].decode(), plain[2].decode())
        return plain


def _even(output: bytes) -> bytes:
    """Take out what varies, and the length of a rule beside it."""
    return _RULES.sub(rb"=\2=", _VARYING.sub(b"*", output))


@pytest.fixture(scope="module")
def both(runner_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One daemon for all: commands leave nothing behind that the next could notice."""
    left_out = ("TESTD_", "PYTEST_", "XDG_", "VIRTUAL_ENV", "NOTIFY_SOCKET", "COV_", "COVERAGE_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # hypothesis' plugin costs a second at each start
    with House(inherited) as house:
        house.environment["TESTD_CACHE_DIR"] = str(runner_cache)
        folder = tmp_path_factory.mktemp("project")
        (folder / "pytest.ini").write_text("[pytest]\n")
        project = Both(house, folder)
        project.write(test_it=SUITE, conftest=CONFTEST)
        yield project


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-v"],
        ["-x", "test_it.py"],
        ["-k", "words and not b"],
        ["--collect-only"],
        ["-p", "no:cacheprovider", "test_it.py::test_words"],
        ["-rA", "--tb=short", "-s"],
        ["--no-such-option"],
        ["no_such_file.py"],
        ["-k", "no_such_test"],
        ["--version"],
        ["--help"],
        ["--fixtures", "-p", "no:terminal"],
        ["-W", "error::DeprecationWarning"],
        ["-p", "no_such_plugin"],
    ],
    ids=" ".join,
)
def test_the_same_words_give_the_same_bytes(both: Both, words: list[str]):
    both.same(*words)


def test_workers_of_xdist_are_started_as_ever(both: Both):
    """Which worker has which test is for chance to say: so the letters are compared, and not their order."""
    words = ["-p", "xdist", "-n", "2", "-rA", "-k", "words or fails"]
    plain, warm = (both.one(program, words) for program in ([PYTEST], [TESTD, "pytest"]))
    plain, warm = ((code, sorted(re.sub(rb"gw\d", b"gw*", out)), err) for code, out, err in (plain, warm))
    assert warm == plain


def test_the_folder_and_the_configuration(both: Both):
    (both.folder / "below").mkdir()
    (both.folder / "other.ini").write_text("[pytest]\naddopts = -k passes\n")
    both.same("..", "-c", "../other.ini", cwd=both.folder / "below")


def test_variables_count(both: Both):
    both.same(env={"PYTEST_ADDOPTS": "-k passes"})
    both.same(env={"FORCE_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"})


def test_files_that_are_written(both: Both):
    both.same("--junitxml=report.xml", cwd=both.folder)
    assert b"<testsuites" in (both.folder / "report.xml").read_bytes()


def test_what_failed_last(both: Both):
    for program in ([PYTEST], [TESTD, "pytest"]):
        assert both.one(program, ["--lf"])[0] == 1
    _, out, _ = both.same("--lf")
    assert b"1 failed" in out


def test_a_changed_test_is_seen(both: Both):
    both.write(test_changes="def test(): pass\n")
    both.same("test_changes.py")
    both.write(test_changes="def test(): assert 0\n\ndef test_more(): pass\n")
    both.same("test_changes.py")


def test_stdin_is_the_callers(both: Both):
    both.write(test_reads="import sys\ndef test(): assert sys.stdin.read() == 'said'\n")
    for piped in (b"said", b"else"):
        both.same("-s", "test_reads.py", stdin=None, input=piped)


def test_output_that_is_huge_or_goes_nowhere(both: Both, tmp_path: Path):
    both.write(test_prints="def test():\n    print('x' * 5_000_000)\n")
    both.same("-s", "test_prints.py")
    for program in ([PYTEST], [TESTD, "pytest"]):
        with (tmp_path / "out").open("w+b") as file:
            assert both.one(program, ["test_it.py"], stdout=file)[0] == 1
            assert file.tell()
    through = ["/bin/sh", "-c", 'exec "$@" >&-', "sh"]
    plain, warm = (both.one([*through, *program], []) for program in ([PYTEST], [TESTD, "pytest"]))
    assert plain == warm


def test_a_process_that_dies(both: Both):
    both.write(test_dies="import os, signal\ndef test(): os.kill(os.getpid(), signal.SIGSEGV)\n")
    plain, warm = (both.one(program, ["test_dies.py"]) for program in ([PYTEST], [TESTD, "pytest"]))
    assert plain[0] == warm[0] == -signal.SIGSEGV
    assert plain[1] == warm[1]


def test_a_closed_reader(both: Both):
    both.write(test_prints="def test():\n    print('x' * 5_000_000)\n")
    for program in ("pytest", "testd pytest"):
        done = subprocess.run(
            ["/bin/bash", "-c", f"{BIN}/{program} -s test_prints.py | head -c 10; echo ${{PIPESTATUS[0]}}"],
            cwd=both.folder, env=both.environment, capture_output=True, timeout=DEADLINE, check=True,
        )  # fmt: skip
        assert done.stdout.endswith(b"1\n"), done


def test_limits_and_the_umask_are_the_callers(both: Both):
    both.write(test_has="import os, resource\ndef test(): print(oct(os.umask(0)), resource.getrlimit(7), os.nice(0))\n")
    shell = 'umask 027; ulimit -Sn 512; exec nice -n 3 "$@"'
    through = ["/bin/sh", "-c", shell, "sh"]
    found = [both.one([*through, *program], ["-s", "test_has.py"]) for program in ([PYTEST], [TESTD, "pytest"])]
    assert found[0] == found[1]
    assert b"0o27 (512," in found[0][1]


def test_a_debugger_on_a_terminal(both: Both):
    both.write(test_stops="def test():\n    number = 42\n    breakpoint()\n    assert number == 43\n")
    shown = []
    for program in ([PYTEST], [TESTD, "pytest"]):
        with Terminal([*program, "test_stops.py"], both.folder, both.environment) as terminal:
            terminal.expect(b"(Pdb) ")
            terminal.send(b"number + 1\r")
            terminal.expect(b"43")
            terminal.expect(b"(Pdb) ")
            terminal.send(b"number = 43\r")
            terminal.expect(b"(Pdb) ")
            terminal.send(b"c\r")
            assert os.waitstatus_to_exitcode(terminal.finish()) == 0
            shown.append(_even(terminal.output))
    assert shown[0] == shown[1]
    assert b"\x1b[32m" in shown[0]


def test_an_interrupt_from_the_keyboard(both: Both):
    # One line: the interrupt may come before the test sleeps, and its place is told.
    both.write(test_waits="import time\ndef test():\n    print('waiting', flush=True); time.sleep(600)\n")
    shown = []
    for program in ([PYTEST], [TESTD, "pytest"]):
        with Terminal([*program, "-s", "test_waits.py"], both.folder, both.environment) as terminal:
            terminal.expect(b"waiting\r\n")  # else the echo of what is typed may come before the end of the line
            terminal.send(b"\x03")
            assert os.waitstatus_to_exitcode(terminal.finish()) == 2
            shown.append(_even(terminal.output))
    assert shown[0] == shown[1]


def test_a_signal_for_the_client_is_the_commands(both: Both):
    both.write(test_waits="import time\ndef test():\n    print('waiting', flush=True)\n    time.sleep(600)\n")
    for program in ([PYTEST], [TESTD, "pytest"]):
        with subprocess.Popen(
            [*program, "-s", "test_waits.py"], cwd=both.folder, env=both.environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            while b"waiting" not in process.stdout.readline():
                pass
            process.terminate()
            assert process.wait(DEADLINE) == -signal.SIGTERM


@pytest.mark.parametrize("victim", ["client", "daemon"])
def test_a_command_dies_with_its_client_and_with_the_daemon(both: Both, victim: str):
    text = "import os, time\ndef test():\n    print('I am', os.getpid(), flush=True)\n    time.sleep(600)\n"
    both.write(test_pid=text)
    with subprocess.Popen(
        [TESTD, "pytest", "-v", "-s", "test_pid.py"], cwd=both.folder, env=both.environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert client.stderr is not None
        assert client.stderr.readline().startswith(b"testd: warm")
        line = b""
        while b"I am" not in line:
            line = client.stdout.readline()
        process = psutil.Process(int(re.findall(rb"I am (\d+)", line)[0]))
        if victim == "client":
            client.kill()
        else:
            both.house.stop()
        assert not survivors([process], 30.0)
        assert client.wait(DEADLINE) == (-signal.SIGKILL if victim == "client" else 3)


def test_it_is_plain_and_says_why(both: Both):
    (both.folder / "testd.toml").write_text("fork = false\n")
    try:
        both.same("test_it.py", warm=False)
    finally:
        (both.folder / "testd.toml").unlink()
    relative = {"TESTD_RUNTIME_DIR": "not/absolute"}
    both.same("test_it.py", warm=False, env=relative)


# ── what was prepared after the run before ────────────────────────────────────────────────────────────────────────────

ADVANCE = b"testd: warm: everything up to the first test was done in advance\n"
#: How often a command is run until the next one of its kind has been prepared meanwhile.
MOST_RUNS = 60


def prepared(both: Both, *words: str, **more: object) -> tuple[int, bytes, bytes]:
    """Run a command until it was prepared; each time it must be what pytest is. Returns what pytest gave."""
    told = [*words, "-v", "-q"]
    plain = both.one([PYTEST], told, **dict(more))
    for _ in range(MOST_RUNS):
        code, out, err = both.one([TESTD, "pytest"], told, **dict(more))
        first, _, rest = err.partition(b"\n")
        assert (code, out.decode(), rest.decode()) == (plain[0], plain[1].decode(), plain[2].decode())
        if first + b"\n" == ADVANCE:
            return plain
    raise AssertionError(err)


@pytest.mark.parametrize(
    "words",
    [
        ["test_it.py"],
        ["-vv", "-rA", "test_it.py"],
        ["-x", "-s", "test_it.py"],
        ["--collect-only", "test_it.py"],
        ["-k", "no_such_test", "test_it.py"],
        ["--lf", "test_it.py"],
    ],
    ids=" ".join,
)
def test_what_was_prepared_gives_the_same_bytes(both: Both, words: list[str]):
    prepared(both, *words)


def test_what_was_prepared_writes_where_the_caller_says(both: Both, tmp_path: Path):
    words = ["--junitxml=report.xml", "-q", "test_it.py"]
    prepared(both, *words)
    before = (both.folder / "report.xml").read_bytes()
    with (tmp_path / "out").open("w+b") as file:
        for _ in range(MOST_RUNS):
            code, _, err = both.one([TESTD, "pytest"], [*words, "-v"], stdout=file)
            if err == ADVANCE:
                break
        assert (code, err) == (1, ADVANCE)
        file.seek(0)
        assert file.read().count(b"1 failed, 5 passed") >= 1
    assert _even((both.folder / "report.xml").read_bytes()) == _even(before)


def test_what_was_prepared_is_left_when_a_file_has_changed(both: Both):
    both.write(test_edit="from helper import number\ndef test(): assert number == 1\n", helper="number = 1\n")
    prepared(both, "test_edit.py")
    both.write(helper="number = 2  # another\n")
    assert both.same("test_edit.py")[0] == 1
    both.write(helper="number = 1\n")
    prepared(both, "test_edit.py")
    (both.folder / "conftest.py").write_text(CONFTEST + "import helper\nhelper.number = 3\n")
    try:
        assert both.same("test_edit.py")[0] == 1
    finally:
        both.write(conftest=CONFTEST)


def test_what_was_prepared_knows_what_failed_last(both: Both):
    both.write(test_last="import os\ndef test_a(): pass\ndef test_b(): assert os.path.exists('good')\n")
    both.one([PYTEST], ["test_last.py"])
    prepared(both, "--lf", "test_last.py")
    (both.folder / "good").touch()
    both.same("test_last.py")
    assert b"2 passed" in both.same("--lf", "test_last.py")[1]
    (both.folder / "good").unlink()


#: The callback of a weak reference is called where the interpreter is taken down object by object.
TOLD_OF_ITS_END = """
import io, os, socket, sys, weakref
closed = socket.socket()
closed.close()
class Captured(io.TextIOWrapper):
    def close(self):
        "Whoever has the buffer closes it."
captured = Captured(io.BytesIO())
class Kept:
    {member}
kept = Kept()
sys.reference = weakref.ref(kept, lambda _, write=os.write: write(2, b"taken down"))
def test():
    print("it", file=captured)
"""


@pytest.mark.parametrize(
    ("member", "told"), [("pass", b""), ("def __del__(self): pass", b"taken down")], ids=["unseen", "seen"]
)
def test_the_interpreter_is_taken_down_only_where_somebody_could_tell(both: Both, member: str, told: bytes):
    both.write(test_end=TOLD_OF_ITS_END.format(member=member))
    for _ in range(MOST_RUNS):
        code, _, err = both.one([TESTD, "pytest"], ["-v", "test_end.py"])
        assert code == 0
        if err.startswith(ADVANCE):
            break
    assert err == ADVANCE + told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def pytest_configure(config):\n    open('written', 'a').write('x')\n", b"written is opened to write"),
        ("import subprocess\nsubprocess.run(['true'])\n", b"subprocess.Popen 'true'"),
        ("import time\ndef pytest_configure(config):\n    config.began = time.time()\n", b"looks at the clock"),
        ("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n", b"threads run"),
    ],
    ids=["writes", "starts a process", "looks at the clock", "starts a thread"],
)
def test_a_start_that_is_more_than_a_start_is_not_repeated(both: Both, tmp_path: Path, text: str, why: bytes):
    """What a start does to the outside is done as often as it is asked for, and not once more."""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "conftest.py").write_text(text)
    (tmp_path / "test_it.py").write_text("def test(): pass\n")
    for run in range(1, MOST_RUNS):
        code, _, err = both.one([TESTD, "pytest"], ["-v"], cwd=tmp_path)
        assert code == 0
        assert err != ADVANCE
        if b"written" in why:
            assert (tmp_path / "written").read_text() == "x" * run
        if why in err:
            return
    raise AssertionError(err)


def test_on_a_terminal_what_was_prepared_has_the_same_colours(both: Both):
    variables = {**both.environment, "EXPECTED": "-v\x1ftest_it.py", "PWD": str(both.folder)}
    shown = []
    for words in ([PYTEST], *[[TESTD, "pytest"]] * MOST_RUNS):
        with Terminal([*words, "-v", "test_it.py"], both.folder, variables) as terminal:
            assert os.waitstatus_to_exitcode(terminal.finish()) == 1
        output = _even(terminal.output)
        told = ADVANCE.rstrip() in output
        if shown:
            assert output.startswith(b"testd: warm: ")
            output = output.partition(b"\n")[2]
        # How often it says what it is collecting depends on how long that takes.
        shown.append(output.partition(b"collecting")[0] + output[output.rindex(b"collected 8 items") :])
        assert shown[-1].decode() == shown[0].decode()
        if told:
            return
    raise AssertionError(shown[-1])
