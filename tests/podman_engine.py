"""A real podman for tests, with folders of its own: it needs no daemon. As root on Debian it is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from container_engine import Engine, NoEngine, data_folder, install, sweep

__all__ = ["Podman", "podman"]

_DEADLINE = 60.0
#: Podman's own limits are higher than root may go where these tests run in a container themselves. Of the runtimes,
#: crun refuses a machine that has cgroups of both versions; runc runs on each.
_SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""


class Podman(Engine):
    """A podman whose images and containers are in `data`, and whose state is in `folder`."""

    program = "podman"

    def __init__(self, data: Path, folder: Path) -> None:
        (folder / "containers.conf").write_text(_SETTINGS)
        super().__init__(
            {"CONTAINERS_CONF": f"{folder}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}
        )
        for driver in ("overlay", "vfs"):  # the first needs a file system that overlays can lie on
            # Its database names the run folder of the session that made it, which podman would make anew and use.
            shutil.rmtree(data / driver / "libpod", ignore_errors=True)
            (folder / "storage.conf").write_text(
                f'[storage]\ndriver = "{driver}"\ngraphroot = "{data}/{driver}"\nrunroot = "{folder}/run"\n'
            )
            if self.run("info", "--format", "{{.Store.GraphDriverName}}", check=False) == driver:
                return
        raise NoEngine(f"podman does not answer: {self.run('info')}")


@contextlib.contextmanager
def podman() -> Iterator[Podman]:
    """Hold a podman for the length of a block; its containers are gone behind it. Raises NoEngine."""
    if os.environ.get("TESTD_TEST_ENGINE") == "none":
        raise NoEngine("TESTD_TEST_ENGINE=none")
    if os.geteuid() != 0:
        raise NoEngine("only root can have a podman with folders of its own here")
    for program in ("podman", "catatonit", "runc"):  # catatonit is what `--init` runs
        install(program, program=program)
    with data_folder("podman") as data, tempfile.TemporaryDirectory(prefix="testd-podman-") as folder:
        data.mkdir(exist_ok=True)
        try:
            yield Podman(data, Path(folder))
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    ["podman", "rm", "--all", "--force", "--time", "0"], capture_output=True, check=False,
                    timeout=_DEADLINE,
                    env={**os.environ, "CONTAINERS_CONF": f"{folder}/containers.conf",
                         "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"},
                )  # fmt: skip
            sweep(Path(folder), data)
