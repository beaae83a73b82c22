"""Train in the foreground of a terminal: signals, a terminal that closes, and how a question is answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui.runs import log
from opeddev_tui.runs.control import Control, Stop
from opeddev_tui.terminal.command_output import outlived
from opeddev_tui.terminal.signals import Received, outliving_hangup, received
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import for_here


def how_to_answer(root: Path) -> str:
    """Return the commands that answer a question of the training in ``root`` from another terminal."""
    return for_here("opeddev-tui decide continue (or stop), or the app: opeddev-tui", root)


# what is said where no step is left
ALL_TRAINED = "All batches are trained. Add the next one, or train a step again: opeddev-tui train --step K --new."


@contextmanager
def trained_in_terminal(workspace: Workspace, control: Control, *, hangup_ends: bool = False) -> Iterator[Received]:
    """Let a training of this process end by SIGTERM or Ctrl+C, saved; a terminal that is closed does not end it.

    It does with ``hangup_ends``, saved as well. What it prints after its terminal or its reader has gone is in the
    workspace's log.
    """
    log.to_file(workspace.log)
    with (
        outlived(workspace.log) as hung_up,
        outliving_hangup(hung_up),
        received(lambda name: control.request(Stop(reason=name)), hangup=hangup_ends) as signals,
    ):
        yield signals
