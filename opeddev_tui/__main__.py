"""``opeddev-tui`` and ``python -m opeddev_tui``: the command line in a process of its own."""

import gc
import sys


def main() -> int:
    """Run the command and return its exit code."""
    # collections find no garbage while modules are imported; the command line enables them
    gc.disable()
    from opeddev_tui.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
