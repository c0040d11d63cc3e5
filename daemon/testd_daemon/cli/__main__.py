"""`python -m testd_daemon.cli` is `testd`. Runs in the client."""

from testd_daemon.cli.entry import script

if __name__ == "__main__":
    script()
