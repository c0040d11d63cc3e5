"""A function in R: Rscript calls it, and what it asks for of the API is done here, in the worker beside it.

Runs in workers; standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from urllib.parse import quote, unquote

from testd.invocation import api, r_code
from testd.invocation.errors import ApiError, RError
from testd.invocation.session import current
from testd.runner.slots import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RFunction"]


class RFunction:
    """A function in R, called as one in Python is."""

    def __init__(self, source: str, name: str, libraries: list[str]) -> None:
        """It is in a folder, or in one file; `libraries` are folders of packages that come first."""
        self._source = source
        self._name = name
        self._libraries = libraries
        self._value: bool | None = None
        self._error: RError | None = None

    def __call__(self, **arguments: Any) -> bool | None:
        """Call it, and return what it returned if that was TRUE or FALSE.

        Raises:
            RError: it failed.

        """
        rscript = shutil.which("Rscript")
        if rscript is None:
            raise RError(f"the function {self._name} is in R, and there is no Rscript on this target's PATH")
        answers, asks = os.pipe(), os.pipe()
        code, temporary = scratch("testd-r"), _temporary()
        text = r_code.program(
            reader=answers[0], writer=asks[1], files=self._files(), folder=self._source, name=self._name,
            arguments=arguments, libraries=self._libraries,
        )  # fmt: skip
        os.write(code, text.encode())
        inherited = (answers[0], asks[1], code)
        with open(asks[0], encoding="ascii") as reader, open(answers[1], "w", encoding="ascii") as writer:
            process = subprocess.Popen(
                [rscript, "--vanilla", f"/dev/fd/{code}"],
                pass_fds=inherited,
                env=dict(os.environ, TMPDIR=f"/proc/{os.getpid()}/fd/{temporary}"),
            )
            for fd in inherited:
                os.close(fd)
            for line in reader:
                self._take([unquote(field) for field in line.rstrip("\n").split("\t")], writer)
        status = process.wait()
        os.close(temporary)
        if self._error is not None:
            raise self._error
        if status:
            how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
            raise RError(f"Rscript {how}")
        return self._value

    def _files(self) -> list[str]:
        if not os.path.isdir(self._source):
            return [self._source]
        found = []
        for folder, folders, files in os.walk(self._source):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [os.path.join(folder, name) for name in sorted(files) if name.endswith((".R", ".r"))]
        return found

    def _take(self, fields: list[str], writer: Any) -> None:
        """Take a line of the other side, and answer what is a question."""
        if fields[0] == "return":
            self._value = fields[1] == "True"
            return
        if fields[0] == "fail":
            self._error = RError(fields[1], fields[2])
            return
        try:
            answer = ["ok", *_asked(*fields)]
        except (ApiError, OSError) as error:
            answer = ["error", str(error)]
        writer.write("\t".join(quote(field, safe="") for field in answer) + "\n")
        writer.flush()


def _temporary() -> int:
    """Open a folder for what R keeps while it runs, below the invocation's own: a killed R leaves it behind.

    R removes its temporary folder through a shell, without quoting: a path that has anything but letters must not be
    seen by it, and so it gets the folder by descriptor.
    """
    folder = os.path.join(os.getcwd(), ".testd")
    os.makedirs(folder, exist_ok=True)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _asked(what: str, *given: str) -> list[str]:
    """Do what is asked for, and return what there is to say. Raises ApiError, OSError."""
    if what == "put":
        api.faasr_put_file(*given)
    elif what == "get":
        api.faasr_get_file(*given)
    elif what == "delete":
        api.faasr_delete_file(*given)
    elif what == "list":
        return api.faasr_get_folder_list(*given)
    elif what == "log":
        api.faasr_log(*given)
    elif what == "warn":
        current().write("note", given[0], "WARNING")
    elif what == "rank":
        return [str(number) for number in api.faasr_rank().values()]
    elif what == "id":
        return [api.faasr_invocation_id()]
    elif what == "secret":
        return [api.faasr_secret(*given)]
    elif what == "credentials":
        return [str(each) for pair in api.faasr_get_s3_creds(*given).items() for each in pair]
    return []
