"""Images for tests, made without a registry: an interpreter's files, or a base system by debootstrap.

What an image is made of is packed once and kept below the tests' cache; the engine keeps the image.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["IMAGES", "recipe_digest", "write_archive"]

#: What an interpreter's folder has that no test needs.
_NOT_PACKED = re.compile(
    r"/(?:__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|config-[^/]*|site-packages|lib2to3)(?:/|$)|\.a$"
)
#: Where Debian's loader looks without being told.
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
#: The shell script that stands for an interpreter of long ago.
_OLD_PYTHON = '#!/bin/sh\necho \'["2.7.18", "CPython", "/usr/local/bin/python3", false]\'\n'
_BUILD_DEADLINE = 900.0


def _python(folder: Path, python: str, *, pytest: bool) -> None:
    """Put an interpreter into `folder` at /usr/local, with the libraries that it and its modules load."""
    prefix, version = _described(python)
    name = f"python{version}"
    (folder / "usr/local/bin").mkdir(parents=True)
    shutil.copy2(Path(prefix, "bin", name), folder / "usr/local/bin" / name)
    library = Path(prefix, "lib", name)
    shutil.copytree(
        library, folder / "usr/local/lib" / name, symlinks=True,
        ignore=lambda top, names: [n for n in names if _NOT_PACKED.search(f"{top}/{n}".removeprefix(prefix))],
    )  # fmt: skip
    packages = folder / "usr/local/lib" / name / "site-packages"
    packages.mkdir()
    if pytest:
        (folder / "usr/local/bin/python3").symlink_to(name)
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
              "--target", str(packages), "--python-version", version, "--only-binary=:all:", "pytest"])  # fmt: skip
    # Else each container would begin by compiling all that it loads, for seconds.
    inside = f"/usr/local/lib/{name}"
    _run([python, "-I", "-m", "compileall", "-q", "-d", inside, f"{folder}{inside}"])
    for found in _libraries([folder / "usr/local/bin" / name, *library.glob("lib-dynload/*.so")]):
        interpreter = found.name.startswith("ld-linux")
        target = folder / ("lib64" if interpreter else _LIBRARIES) / found.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(found, target)


def _described(python: str) -> tuple[str, str]:
    code = "import sys; print(sys.base_prefix); print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    prefix, version = answer.stdout.split()
    return prefix, version


def _libraries(files: list[Path]) -> set[Path]:
    found: set[Path] = set()
    for file in files:
        answer = subprocess.run(["ldd", str(file)], capture_output=True, text=True, timeout=30, check=False)
        found.update(Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(", answer.stdout, re.MULTILINE))
    return found


def _debian(folder: Path, python: str) -> None:
    """Put a small Debian with its own Python and pytest into `folder`."""
    del python
    _run(["debootstrap", "--variant=minbase", "--include=python3,python3-pytest", "bookworm", str(folder)])
    for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / path, ignore_errors=True)


def _nothing(folder: Path, python: str) -> None:
    """Put one file into `folder`."""
    del python
    (folder / "README").write_text("nothing to run\n")


def _old(folder: Path, python: str) -> None:
    """Put a shell into `folder`, and what says that it is Python 2.7."""
    del python
    shell = Path("/bin/sh").resolve()
    (folder / "bin").mkdir()
    shutil.copy2(shell, folder / "bin/sh")
    for found in _libraries([shell]):
        target = folder / ("lib64" if found.name.startswith("ld-linux") else _LIBRARIES) / found.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found, target)
    (folder / "usr/local/bin").mkdir(parents=True)
    (folder / "usr/local/bin/python3").write_text(_OLD_PYTHON)
    (folder / "usr/local/bin/python3").chmod(0o755)


#: How each image is made, by its name: `full` is like the official images of Python, `bare` has just `pythonX.Y`.
IMAGES = {
    "full": lambda folder, python: _python(folder, python, pytest=True),
    "bare": lambda folder, python: _python(folder, python, pytest=False),
    "debian": _debian,
    "nothing": _nothing,
    "old": _old,
}


def recipe_digest(kind: str, python: str) -> str:
    """Return what an image's archive is named by: how it is made, and of which interpreter."""
    told = f"{kind}\0{python}\0{Path(__file__).read_text(encoding='utf-8')}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def write_archive(kind: str, python: str, target: Path) -> None:
    """Make an image's files and pack them into `target`, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _folder(target.parent) as folder, tempfile.NamedTemporaryFile(dir=target.parent) as draft:
        IMAGES[kind](folder, python)
        with tarfile.open(fileobj=draft, mode="w") as packed:
            packed.add(folder, arcname=".")
        draft.flush()
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, target)


@contextlib.contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="image-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_BUILD_DEADLINE, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
