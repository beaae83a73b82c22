"""``opeddev-tui`` and ``python -m opeddev_tui``: the command line in a process of its own."""

import gc
import sys

# New objects after which the garbage collector looks at them, and how many of its looks come before a longer one.
# Python's own 700 has it look several times within one picture of the screen, a tenth of what drawing takes, and
# hundreds of times while a command loads the libraries of models, another tenth.
_COLLECTED_AFTER = (20_000, 20, 100)


def main() -> int:
    """Run the command and return its exit code."""
    # collections find no garbage while modules are imported; the command line enables them
    gc.disable()
    gc.set_threshold(*_COLLECTED_AFTER)
    from opeddev_tui.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
