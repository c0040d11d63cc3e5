"""The entry point of every process in a target: the runner itself, or with `--stem` or `--bin` what it starts."""

import sys
from typing import List, Optional

__all__ = ["main"]


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the part that the arguments name. Returns an exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["--stem"], ["--bin"]):
        from testd.runner.stem import start

        command = start(arguments[0], [int(fd) for fd in arguments[1:]])
        command.enter()
        command.run()
        return 0
    from testd.runner.supervisor import serve

    if arguments[:1] == ["--fd"] and len(arguments) == 2:
        return serve(int(arguments[1]), int(arguments[1]))
    if arguments == ["--stdio"]:
        return serve(0, 1)
    sys.stderr.write("usage: testd.runner --fd N | --stdio\n")
    return 4


if __name__ == "__main__":
    sys.exit(main())
