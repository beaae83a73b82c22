"""Train as one of the processes that a launcher has started: rank 0 leads, the others do what it says."""

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import Problem, SettingsProblem
from opeddev_tui.ranks import crew
from opeddev_tui.ranks.launcher import Launched
from opeddev_tui.ranks.life import Life, leave
from opeddev_tui.ranks.lifeline import Lifeline
from opeddev_tui.ranks.line import Line

NAME = "training.num_processes"
# seconds for which a hand ends later than a rank 0 that has failed: launchers end all with the first that fails, and
# rank 0 is to say why
_AFTER_SECONDS = 3.0


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
    """Give the other ranks, which are let go at the end with this one's exit code; None without a launcher."""
    if launched is None:
        yield None
        return
    held = crew.Crew(launched)
    try:
        yield held
    except BaseException as error:
        interrupted = 130 if isinstance(error, KeyboardInterrupt) else 1
        held.code = error.exit_code if isinstance(error, Problem) else interrupted
        raise
    finally:
        held.leave()


def be_hand(launched: Launched) -> int:
    """Take part in every attempt that rank 0 calls to, until it lets this process go; return rank 0's exit code."""
    place = crew.place_of(launched)
    line = crew.meet(launched)
    life = Life(line, crew.PATIENCE_SECONDS, first=crew.FIND_SECONDS)
    hurried = threading.Event()

    def hurry(*_: object) -> None:
        life.hurry()
        hurried.set()

    # launchers pass signals to all ranks: rank 0 saves, and leads the stop
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, hurry)
    life.begin()
    lifeline = Lifeline(line, place.address, leave)
    from opeddev_tui.training import hand

    for call in crew.calls(line, lambda: None):
        if not call.folder:
            break
        try:
            hand.serve(Line(line.store, launched.rank, call.name), place, Path(call.folder), call.secret)
        except Exception:  # noqa: BLE001 - rank 0 has been told, or knows: it calls again or lets this process go
            traceback.print_exc(file=sys.stderr)
    life.close()
    lifeline.close()
    if call.code:
        hurried.wait(_AFTER_SECONDS)
    return call.code
