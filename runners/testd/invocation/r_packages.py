"""Packages of R that functions name: what Rscript is told to do about them, and what it answers.

Standard library only. Stems install them where nobody else can, as `packages.py` does those of Python; the agent does
it itself for targets here, with the same commands. A library of testd's own has what was missing, one for each version
of R; what another library of R has is not installed again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from typing import NamedTuple

from testd.invocation.packages import place
from testd.runner.settings import SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["REPOSITORY", "Answer", "answer", "command", "fault", "installed", "is_package"]

#: The variable that names the repository of packages, in the place of what R's own option says.
REPOSITORY = "TESTD_CRAN"
#: Characters of what R printed that are shown when it fails.
_SHOWN = 4096
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]|[\w.-]+/[\w.-]+(/[\w./-]+)?([@#][\w./*-]+)?", re.ASCII)
_PROGRAM = r"""
given <- commandArgs(TRUE)
version <- paste0(R.version$major, ".", sub("[.].*", "", R.version$minor))
library <- file.path(given[2], paste0(R.version$platform, "-", version))
wanted <- given[-(1:2)]
dir.create(library, showWarnings = FALSE, recursive = TRUE)
.libPaths(c(library, .libPaths()))
repos <- strsplit(Sys.getenv("@REPOSITORY@"), "[[:space:]]+")[[1]]
if (!length(repos)) repos <- getOption("repos")
if (any(repos == "@CRAN@")) {  # nobody has chosen one: the first that R itself knows
  utils::chooseCRANmirror(graphics = FALSE, ind = 1, local.only = TRUE)
  repos[repos == "@CRAN@"] <- getOption("repos")["CRAN"]
}
github <- grepl("/", wanted, fixed = TRUE)
origin <- function(name) sub("[@#].*", "", strsplit(name, "/", fixed = TRUE)[[1]][1:2])
find <- function(name) {
  if (!grepl("/", name, fixed = TRUE)) return(system.file(package = name))
  from <- origin(name)
  known <- utils::installed.packages(fields = c("RemoteUsername", "RemoteRepo"))
  same <- which(known[, "RemoteUsername"] == from[1] & known[, "RemoteRepo"] == from[2])
  system.file(package = if (length(same)) known[same[1], "Package"] else from[2])
}
absent <- function() wanted[!nzchar(vapply(wanted, find, ""))]
tell <- function(...) writeLines(paste("testd", ..., sep = "\t"))
remotes <- function() requireNamespace("remotes", quietly = TRUE)
if (given[1] == "install") {
  unlink(Sys.glob(file.path(library, "00LOCK*")), recursive = TRUE)  # of an installation that was killed
  options(timeout = max(300, getOption("timeout")), repos = repos)
  missing <- intersect(absent(), wanted[!github])
  if (length(missing)) utils::install.packages(missing, lib = library)
  for (name in intersect(absent(), wanted[github])) {
    if (remotes()) try(remotes::install_github(name, lib = library, upgrade = "never"))
  }
  if (length(absent())) quit(save = "no", status = 1)
} else {
  tell("library", library)
  tell("repository", paste(repos, collapse = " "))
  tell("remotes", remotes())
  for (name in wanted) tell(if (nzchar(find(name))) "found" else "missing", name, find(name))
}
""".replace("@REPOSITORY@", REPOSITORY)


class Answer(NamedTuple):
    """What is there."""

    library: str  # of testd's own
    repository: str  # from which packages come
    remotes: bool  # whether R can install from GitHub
    folders: list[str]  # of the packages that are found
    missing: list[str]


def is_package(name: str) -> bool:
    """Tell whether this can be a package's name, or OWNER/REPO[/FOLDER][@VERSION] on GitHub."""
    return _NAME.fullmatch(name) is not None


def command(rscript: str, act: str, base: str, names: Sequence[str]) -> list[str]:
    """Return the command that looks for packages (`look`, see `answer`) or has what is missing installed (`install`).

    Libraries are below `base`. Installing exits with another status than 0 where something is missing at the end.
    """
    return [rscript, "--no-save", "--no-restore", "-e", _PROGRAM, act, base, *names]


def answer(printed: str) -> Answer | None:
    """Return what `look` has found; None where it did not get to its end."""
    told = [line.split("\t")[1:] for line in printed.splitlines() if line.startswith("testd\t")]
    one = {fields[0]: fields[1] for fields in told}
    if "remotes" not in one:
        return None
    found = [fields[2] for fields in told if fields[0] == "found"]
    missing = [fields[1] for fields in told if fields[0] == "missing"]
    return Answer(one["library"], one["repository"], one["remotes"] == "TRUE", found, missing)


def fault(found: Answer) -> tuple[str, str]:
    """Return what is wrong where packages are still missing, and what would be right."""
    github = [name for name in found.missing if "/" in name]
    plain = [name for name in found.missing if "/" not in name]
    if github and not plain and not found.remotes:
        return (
            f"to install {', '.join(github)} from GitHub takes the R package remotes, which is not there",
            "name remotes in FunctionCRANPackage of the function, or install what it needs into R's own library",
        )
    origin = found.repository if plain else "GitHub"
    return (
        f"R could not install {', '.join(plain or github)} from {origin}",
        f"see what R said; correct the name, say where it is with {REPOSITORY}, or install it into R's own library",
    )


def installed(names: Sequence[str]) -> str:
    """Return a library with what of these packages R does not have elsewhere; empty where there is no R.

    Raises:
        SuiteFault: they cannot be installed.

    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        return ""  # its functions say so
    base = os.path.join(place(), "r")
    with _held(base) as lock:
        found = _look(rscript, base, names)
        if found.missing:
            done = _run(command(rscript, "install", base, names), lock)
            if done.returncode:
                text, hint = fault(_look(rscript, base, names))
                raise SuiteFault("environment", text, hint, done.stdout[-_SHOWN:])
        return str(found.library)


@contextlib.contextmanager
def _held(base: str) -> Iterator[int]:
    """Be the only one who installs there; what is started holds it too, and may outlive this process."""
    try:
        os.makedirs(base, exist_ok=True)
        lock = os.open(os.path.join(base, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SuiteFault("environment", f"packages cannot be kept: {error}", "make room there") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _look(rscript: str, base: str, names: Sequence[str]) -> Answer:
    done = _run(command(rscript, "look", base, names), -1)
    found = answer(done.stdout)
    if found is None:
        text = "Rscript could not look for packages"
        raise SuiteFault("environment", text, "see what it said", done.stdout[-_SHOWN:])
    return found


def _run(argv: list[str], lock: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        cwd="/", pass_fds=[lock] if lock >= 0 else [],
    )  # fmt: skip
