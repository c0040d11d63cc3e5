"""The runner's code as something a foreign interpreter can run: a folder for local ones, a zip for everything else.

Imported by the agent. Standard library only. The bundle holds the `testd` package and a `__main__.py`; its name is the
hash of its content, so that bundles of different versions never meet, and nothing is ever changed in place. A local
interpreter gets a folder and not the zip because it can keep compiled code there: a zip is compiled at every start.
"""

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from typing import Dict, Tuple

__all__ = ["archive", "contents", "digest", "scripts", "unpack"]

_MAIN = b"import sys\n\nfrom testd.runner.__main__ import main\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
_LONG_AGO = 315532800  # 1980 as well: a file that is never changed must not look as if it just had been
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: equal content, equal bytes


def contents(package: str = "") -> Dict[str, bytes]:
    """Return every file of the bundle, by path. `package` is the folder of `testd`, if not the installed one."""
    top = package or _installed()
    found = {"__main__.py": _MAIN}
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if name.endswith((".py", ".typed")):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found["testd/" + os.path.relpath(path, top).replace(os.sep, "/")] = file.read()
    return found


def scripts(folder: str = "") -> Dict[str, bytes]:
    """Return the runner for Node.js, by path in the bundle: for this machine alone. `folder` is where it is."""
    top = folder or _node_folder()
    found = {}
    for name in sorted(os.listdir(top)):
        if name.endswith((".js", ".json")):
            with open(os.path.join(top, name), "rb") as file:
                found["node/" + name] = file.read()
    return found


def digest(files: Dict[str, bytes]) -> str:
    """Return the name of a bundle's content: 16 hexadecimal digits."""
    hashed = hashlib.sha256()
    for path in sorted(files):
        hashed.update(f"{path}\0{len(files[path])}\0".encode())
        hashed.update(files[path])
    return hashed.hexdigest()[:16]


def archive(package: str = "") -> Tuple[str, bytes]:
    """Return the bundle as a zip: its name and its bytes, which are the same for the same content everywhere."""
    files = contents(package)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, files[path])
    return f"testd-{digest(files)}.zip", buffer.getvalue()


def unpack(cache: str, package: str = "") -> str:
    """Make the bundle's folder below `cache` unless it is there, and return its path.

    It appears whole or not at all: two agents may do this at the same instant. Raises OSError if the cache cannot be
    written.
    """
    files = {**contents(package), **scripts()}
    target = os.path.join(cache, f"testd-{digest(files)}")
    if os.path.exists(os.path.join(target, "__main__.py")):
        return target
    os.makedirs(cache, mode=0o700, exist_ok=True)
    draft = tempfile.mkdtemp(prefix=".testd-", dir=cache)
    try:
        for path, data in files.items():
            place = os.path.join(draft, *path.split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(data)
            os.utime(place, (_LONG_AGO, _LONG_AGO))
        try:
            os.rename(draft, target)
        except OSError:
            if not os.path.exists(os.path.join(target, "__main__.py")):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _node_folder() -> str:
    """Return the folder of the Node.js runner: inside of this package in a wheel, beside it in a checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in (os.path.join(here, "javascript"), os.path.join(os.path.dirname(here), "node")):
        if os.path.exists(os.path.join(folder, "supervisor.js")):
            return folder
    raise OSError(f"the runner for Node.js is not in {here}: the installation of testd is incomplete")


def _installed() -> str:
    """Return the folder of the installed `testd` package, without importing it."""
    from importlib.util import find_spec

    spec = find_spec("testd")
    if spec is None or not spec.submodule_search_locations:
        raise OSError("the package testd, which runs inside targets, is not installed beside the daemon")
    return next(iter(spec.submodule_search_locations))
