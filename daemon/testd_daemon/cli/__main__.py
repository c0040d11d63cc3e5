"""`python -m testd_daemon.cli` is `testd`. Runs in the client."""

import sys

from testd_daemon.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
