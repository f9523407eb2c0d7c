"""`python -m graphproof`: the command line."""

import signal
import sys

from . import _graphproof


def main() -> int:
    """Runs the command line with the arguments of the process."""
    # Ctrl-C is the command line's own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _graphproof.command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
