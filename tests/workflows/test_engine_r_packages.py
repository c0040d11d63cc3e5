"""Packages of functions in R: installed where R lacks them, from a repository of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flows import Flow, Told

if TYPE_CHECKING:
    from ssh_hosts import Hosts

pytestmark = pytest.mark.usefixtures("rscript")

FUNCTIONS = """
    uses <- function() faasr_log(paste(tiny::word(), basename(dirname(dirname(system.file(package = "tiny"))))))
    deep <- function() faasr_log(needs::twice())
    child <- function() {
      said <- system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote("cat(tiny::word())")), stdout = TRUE)
      faasr_log(said)
    }
    there <- function() faasr_log(class(tools::toTitleCase("x")))
    none <- function() faasr_log(as.character(requireNamespace("tiny", quietly = TRUE)))
"""
#: What stands for the package `remotes`: it installs one of a folder beside the repository.
REMOTES = """
install_github <- function(repo, lib, upgrade) {
  sources <- Sys.getenv("TEST_GITHUB")
  utils::install.packages(file.path(sources, basename(repo)), lib = lib, repos = NULL, type = "source")
}
"""


def _package(folder: Path, name: str, code: str, **fields: str) -> None:
    (folder / name / "R").mkdir(parents=True)
    lines = [f"Package: {name}", "Version: 1.0", "Title: T", "Author: A", "Maintainer: A <a@example.invalid>",
             "Description: D.", "License: MIT", *(f"{key}: {value}" for key, value in fields.items())]  # fmt: skip
    (folder / name / "DESCRIPTION").write_text("\n".join([*lines, ""]))
    (folder / name / "NAMESPACE").write_text('exportPattern("^[a-z]")\n')
    (folder / name / "R" / "code.R").write_text(code)


@pytest.fixture
def cran(flow: Flow, rscript: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with `tiny`, `needs` (which imports it), `broken` and `remotes`; R sees what comes with it alone."""
    sources = tmp_path_factory.mktemp("sources")
    _package(sources, "tiny", "word <- function() 'tiny'\n")
    _package(sources, "needs", "twice <- function() paste(tiny::word(), tiny::word())\n", Imports="tiny")
    _package(sources, "broken", "stop('cannot be built')\n")
    _package(sources, "remotes", REMOTES)
    repository = tmp_path_factory.mktemp("cran")
    contrib = repository / "src" / "contrib"
    contrib.mkdir(parents=True)
    for name in ("tiny", "needs", "broken", "remotes"):
        with tarfile.open(contrib / f"{name}_1.0.tar.gz", "w:gz") as archive:
            archive.add(sources / name, name)
    subprocess.run([rscript, "-e", f"tools::write_PACKAGES('{contrib}', type = 'source')"], check=True)
    _package(sources / "hub", "far", "word <- function() 'from afar'\n", RemoteUsername="eve", RemoteRepo="far")
    nowhere = str(sources / "nowhere")
    flow.environment |= {"TESTD_CRAN": f"file://{repository}", "R_LIBS_SITE": nowhere, "R_LIBS_USER": nowhere,
                         "TEST_GITHUB": str(sources / "hub"), "TESTD_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
                         }  # fmt: skip
    flow.functions(FUNCTIONS, "functions/all.R")
    return repository


def _r(*follow: str) -> dict[str, object]:
    return {"Type": "R", "InvokeNext": list(follow)}


def _said(told: Told) -> list[str]:
    return [event["text"] for event in told.of("notice") if "installing" in event["text"]]


def test_what_r_lacks_is_installed_once(flow: Flow, cran: Path) -> None:
    packages = {"uses": "tiny", "deep": ["needs"], "child": ["tiny"], "there": ["tools"]}
    flow.workflow(
        {"uses": _r("deep"), "deep": _r("child"), "child": _r("there"), "there": _r("none"), "none": _r()},
        FunctionCRANPackage=packages,
    )
    told = flow.run()
    assert told.code == 0, told.failures()
    assert told.printed("uses").startswith("tiny ")
    assert [told.printed(name) for name in ("deep", "child", "there", "none")] == [
        "tiny tiny\n", "tiny\n", "character\n", "FALSE\n",
    ]  # fmt: skip
    installed = {text.partition(f"installing packages of R from file://{cran}: ")[2] for text in _said(told)} - {""}
    assert "needs" in installed
    assert installed <= {"needs", "tiny"}  # who comes first has it brought
    shutil.rmtree(cran)
    again = flow.run()
    assert again.code == 0, again.failures()
    assert _said(again) == []


def test_another_agent_finds_what_is_installed(flow: Flow, cran: Path) -> None:
    flow.workflow({"uses": _r()}, FunctionCRANPackage={"uses": "tiny"})
    assert flow.run().code == 0
    subprocess.run(flow.command("stop"), cwd=flow.root, env=flow.environment, check=True, capture_output=True)
    shutil.rmtree(cran)
    told = flow.run()
    assert told.code == 0, told.failures()
    assert _said(told) == []


@pytest.mark.parametrize(("package", "said"), [
    ("nothing.of.the.kind", "R could not install nothing.of.the.kind from file://"),
    ("broken", "R could not install broken from file://"),
    ("no package", "FunctionCRANPackage: 'no package' is no package of R"),
])  # fmt: skip
def test_a_package_that_cannot_be_had_fails_its_function(flow: Flow, cran: Path, package: str, said: str) -> None:
    flow.workflow({"none": _r("uses"), "uses": _r()}, FunctionCRANPackage={"uses": package})
    told = flow.run()
    assert told.verdicts == {"none": "passed", "uses": "error"}
    assert said in told.message("uses")
    assert said in told.log("uses")


def test_a_package_on_github_takes_remotes(flow: Flow, cran: Path) -> None:
    flow.functions("far <- function() faasr_log(far::word())\n", "functions/far.R")
    flow.workflow({"far": _r()}, FunctionGitHubPackage={"far": "eve/far@main"})
    told = flow.run()
    assert told.verdicts == {"far": "error"}
    assert "to install eve/far@main from GitHub takes the R package remotes" in told.message("far")
    assert "name remotes in FunctionCRANPackage" in told.failures()


def test_a_package_on_github_is_installed_by_remotes(flow: Flow, cran: Path) -> None:
    flow.functions("far <- function() faasr_log(far::word())\n", "functions/far.R")
    flow.workflow(
        {"far": _r()}, FunctionGitHubPackage={"far": "eve/far"}, FunctionCRANPackage={"far": ["remotes"]}
    )
    for _ in range(2):
        told = flow.run()
        assert told.code == 0, told.failures()
        assert told.printed("far") == "from afar\n"
    assert _said(told) == []


@pytest.mark.parametrize("place", ["", "nowhere"])
def test_a_host_installs_packages_of_r_itself(flow: Flow, cran: Path, ssh_hosts: Hosts, place: str) -> None:
    repository = ssh_hosts["build1"].home / f"cran{place}"
    if not place:
        shutil.copytree(cran, repository, dirs_exist_ok=True)
    settings = {"ssh": "build1", "ssh_config": str(ssh_hosts.config), "python": sys.executable}
    lines = ["[targets.build1]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    variables = {"TESTD_CRAN": f"file://{repository}", "R_LIBS_SITE": "/nowhere", "R_LIBS_USER": "/nowhere"}
    variables["XDG_CACHE_HOME"] = str(ssh_hosts["build1"].home / f"cache{place}")
    lines += ["[targets.build1.environment]", *(f"{key} = {json.dumps(value)}" for key, value in variables.items())]
    (flow.root / "testd.toml").write_text("\n".join([*lines, ""]))
    flow.workflow({"uses": _r()}, FunctionCRANPackage={"uses": "tiny"})
    told = flow.run("--target", "build1")
    if place:
        assert told.verdicts == {"uses": "error"}
        assert f"R could not install tiny from file://{repository}" in told.message("uses")
    else:
        assert told.code == 0, told.failures()
        assert told.printed("uses").startswith("tiny ")
