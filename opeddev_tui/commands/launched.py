"""Train as one of the processes that a launcher has started: rank 0 leads, the others do what it says."""

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.ranks import crew
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.ranks.life import Life
from opeddev_tui.ranks.line import Line

NAME = "training.num_processes"


def overrides(launched: Launched | None, loaded: LoadedSettings) -> list[str]:
    """Return the launcher's number of processes as a setting; raises ``SettingsProblem`` where it is set otherwise."""
    if launched is None:
        return []
    said = loaded.settings.training.num_processes
    if NAME in loaded.origins and said not in (0, launched.world):
        raise SettingsProblem(
            f"{NAME} is {said}, but {launched.by} has started {launched.world} processes.",
            where=loaded.origins[NAME],
            cure=f"Remove it: {launched.by} says how many there are.",
        )
    return [f"{NAME}={launched.world}"]


@contextmanager
def leading(launched: Launched | None) -> Iterator[crew.Crew | None]:
    """Give the other ranks, which are let go at the end; None without a launcher."""
    if launched is None:
        yield None
        return
    held = crew.Crew(launched)
    try:
        yield held
    finally:
        held.leave()


def be_hand(launched: Launched) -> int:
    """Take part in every attempt that rank 0 calls to, until it lets this process go; return the exit code."""
    place = crew.place_of(launched)
    line = crew.meet(launched)
    life = Life(line, crew.PATIENCE_SECONDS)
    # launchers pass signals to all ranks: rank 0 saves, and leads the stop
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: life.hurry())
    life.begin()
    from opeddev_tui.training import hand

    for call in crew.calls(line, lambda: None):
        try:
            hand.serve(Line(line.store, launched.rank, call.name), place, Path(call.folder), call.secret)
        except Exception:  # noqa: BLE001 - rank 0 has been told, or knows: it calls again or lets this process go
            traceback.print_exc(file=sys.stderr)
    life.close()
    return 0
