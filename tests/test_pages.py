"""What the pages say exists: links, files that are named, and the command lines of the README."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest

from testd_daemon.cli.arguments import Parser
from testd_daemon.cli.entry import parse
from testd_daemon.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")], key=lambda page: page.as_posix()
)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
#: The top folders of this repository: a word in code type that begins with one is a path.
FOLDERS = ("benchmarks", "daemon", "docs", "examples", "protocol", "runners", "scripts", "systemd", "tests")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def prose(page: Path) -> str:
    """Return a page without its code blocks, in which brackets are no links."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(page: Path) -> set[str]:
    """Return what can be linked to on a page, as its host makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert ROOT in there.parents, f"{page.name} links to {target}, which is elsewhere"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_that_is_named_exists(page):
    for code in CODE.findall(prose(page)):
        word = code.split()[0].partition("::")[0] if code.split() else ""
        if word.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and not re.search(r"[A-Z]{3}|[*<>…]", word):
            near = [ROOT, page.parent, ROOT / "examples" / "pytest_project", *ROOT.glob("examples/*")]
            assert any((base / word.partition(":")[0]).exists() for base in near), f"{page.name} names {word}"


def test_the_index_has_every_page():
    linked = {target.partition("#")[0] for target in LINK.findall((ROOT / "docs" / "index.md").read_text("utf-8"))}
    assert {page.name for page in ROOT.glob("docs/*.md")} - linked == {"index.md"}


def commands(page: Path) -> list[list[str]]:
    """Return the `testd` command lines in a page's code blocks, without their comments."""
    lines = [line.strip() for line in page.read_text("utf-8").splitlines() if line.startswith("    ")]
    return [shlex.split(line, comments=True)[1:] for line in lines if re.match(r"testd( |$)", line)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_line_is_understood(page):
    for verb, *arguments in commands(page):
        if verb == "VERB":
            continue
        assert verb in VERBS, f"{page.name}: testd {verb}"
        module = import_module(VERBS[verb][0])
        if verb == "workflow":
            verb, *arguments = arguments
            module = import_module(module.VERBS[verb][0])
        if getattr(module, "VERBATIM", False):
            continue
        parser = Parser(verb, "", module.OPERANDS)
        module.arguments(parser)
        if "[" not in " ".join(arguments):
            parse(parser, arguments)  # raises UsageError where an option is unknown


def test_the_readme_has_command_lines_and_every_verb():
    readme = ROOT / "README.md"
    assert len(commands(readme)) >= 10
    table = set(re.findall(r"^\| `([\w-]+)` \|", readme.read_text("utf-8"), flags=re.MULTILINE))
    assert table == set(VERBS)


#: The pages for those who change testd, which name its modules.
INSIDE = ["CONTRIBUTING.md", "docs/architecture.md", "docs/dependencies.md", "docs/protocol.md"]


@pytest.mark.parametrize("page", INSIDE)
def test_every_module_that_is_named_exists(page):
    text = (ROOT / page).read_text("utf-8")
    tree = [f"/{path.relative_to(ROOT).as_posix()}" for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    named = set(re.findall(r"\b(?:testd\w*/)?[a-z_/]+\.py\b|\btestd_?\w*(?:/[a-z_]+)+\b", text)) - {"conftest.py"}
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in tree)} == set()
