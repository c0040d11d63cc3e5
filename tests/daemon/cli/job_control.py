"""A shell with job control, as small as can be: starts a command in the foreground, and says when it stops and ends.

    python job_control.py COMMAND…

After a stop a line of input brings it back into the foreground.
"""

from __future__ import annotations

import os
import signal
import sys
import termios

ECHO = 3


def main() -> int:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(sys.argv[1], sys.argv[1:])
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        echo = "on" if termios.tcgetattr(0)[ECHO] & termios.ECHO else "off"
        if not os.WIFSTOPPED(status):
            print(f"ended with {os.waitstatus_to_exitcode(status)}: echo is {echo}", flush=True)
            return 0
        print(f"stopped: echo is {echo}", flush=True)
        sys.stdin.readline()
        os.tcsetpgrp(0, child)
        os.kill(child, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main())
