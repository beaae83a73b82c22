"""``decide``: answer the question of a training that waits in another process.

Must not write to a journal: the training records the answer.
"""

import argparse
import time
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.errors import Problem, TrainingProblem
from opeddev_tui.runs.control import Adjust, Decide, send
from opeddev_tui.runs.events import Choice, CommandTaken, Decided, DecisionAwaited
from opeddev_tui.runs.groups import list_groups
from opeddev_tui.runs.journal import JournalReader, is_written
from opeddev_tui.runs.state import RunState
from opeddev_tui.workspace.lock import lock_holder
from opeddev_tui.workspace.paths import Workspace

# how long a training may take to record an answer, and how often the journal is read meanwhile
PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.1


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "choice", nargs="?", choices=("continue", "stop"), help="train another epoch, or end the step here"
    )
    add_workspace(parser)
    parser.add_argument(
        "--next-learning-rate", type=float, metavar="RATE", help="the learning rate of the next step, of that one only"
    )
    parser.add_argument("--next-batch", metavar="NAME", default="", help="the next step trains everything up to it")
    parser.add_argument(
        "--result", choices=("latest", "best"), default="", help="the epoch of this step that the next one starts from"
    )
    parser.add_argument("--rule", action="store_true", help="the rule answers now and from now on")
    parser.add_argument("--run", metavar="ID", default="", help="default: the run in progress")
    parser.add_argument("--note", metavar="TEXT", default="", help="why: kept with the run as an observation")


def run(options: argparse.Namespace) -> int:
    """Answer the open question and print what the training recorded."""
    workspace, _ = open_workspace(options)
    chosen = _chosen(options)
    followed = FollowedRun(workspace, options.run) if options.run else _in_progress(workspace)
    if chosen is not None:
        adjust(followed, chosen)
        print(f"{followed.run}: recorded. {'The rule decides from now on.' if options.rule else _open_still(options)}")
    if options.choice is None:
        return 0
    decided = answer(followed, options.choice, options.note.strip())
    print(f"{followed.run}: {decided.choice} after epoch {decided.epoch}, recorded.")
    return 0


def _chosen(options: argparse.Namespace) -> Adjust | None:
    """Return what is chosen besides an answer; raises ``TrainingProblem`` where that is no choice."""
    chosen = Adjust(
        epoch=0,
        learning_rate=options.next_learning_rate,
        batch=options.next_batch.strip(),
        start_from=options.result,
        policy="rule" if options.rule else "",
    )
    nothing = chosen == Adjust(epoch=0)
    if options.choice is None and nothing:
        raise TrainingProblem("nothing is chosen.", cure="Say continue or stop, or give an option: see decide --help.")
    if options.rule and options.choice is not None:
        raise TrainingProblem("--rule cannot be combined with continue or stop.", cure="Leave one of them out.")
    return None if nothing else chosen


def _open_still(options: argparse.Namespace) -> str:
    return "The question is still open." if options.choice is None else "Now the answer:"


def adjust(followed: "FollowedRun", chosen: Adjust, patience: float = PATIENCE_SECONDS) -> None:
    """Send what is chosen and wait until the training has recorded it; raises ``TrainingProblem`` where it refuses."""
    question = followed.question
    alive = followed.alive
    if question is None or not alive:
        raise _gone(followed, "no training waits for a decision.")
    path = send(followed.folder, replace(chosen, epoch=question.epoch))
    end, alive = time.monotonic() + patience, True
    while alive and time.monotonic() < end:
        # looked at before the journal, so that nothing a process wrote before it ended is missed
        alive = followed.alive
        taken = followed.taken(path.stem)
        if taken is not None and taken.done:
            return
        if taken is not None:
            raise TrainingProblem(f"not done: {taken.reason}.", where=followed.run)
        time.sleep(_LOOK_SECONDS)
    path.unlink(missing_ok=True)
    raise _gone(followed, "the training did not take the choice.")


class FollowedRun:
    """A run whose journal another process may be writing, and whether such a process lives."""

    def __init__(self, workspace: Workspace, run: str) -> None:
        self.folder: Path = workspace.run_folder(run)
        if not self.folder.is_dir():
            raise TrainingProblem(f"there is no run {run}.", cure="See the runs with: opeddev-tui status.")
        self.run = run
        self._workspace = workspace
        self._reader = JournalReader(self.folder)
        self._state = RunState()
        self._taken: dict[str, CommandTaken] = {}

    def look(self) -> RunState:
        """Return the state after all events that the journal has now."""
        for event in self._reader.read_new():
            self._state.apply(event)
            if isinstance(event, CommandTaken):
                self._taken[event.id] = event
        return self._state

    def taken(self, identity: str) -> CommandTaken | None:
        """Return what became of a command, None where nothing is recorded yet."""
        self.look()
        return self._taken.get(identity)

    @property
    def question(self) -> DecisionAwaited | None:
        """The question that waits for a person, None if none is open."""
        state = self.look()
        return state.question if state.status == "awaiting" else None

    @property
    def alive(self) -> bool:
        """True while a process trains in the workspace."""
        return lock_holder(self._workspace) is not None


def _in_progress(workspace: Workspace) -> FollowedRun:
    """Return the run that waits: the newest that is not over, or the one of several seeds that asks.

    An older run may have crashed while its question was open.
    """
    asking = [run for run in _seeds_in_progress(workspace) if run.question is not None]
    if len(asking) > 1:
        names = ", ".join(run.run for run in asking)
        raise TrainingProblem(f"several seeds wait for a decision: {names}.", cure="Say which: --run ID.")
    if asking:
        return asking[0]
    newest_first = (FollowedRun(workspace, run) for run in reversed(workspace.run_ids()))
    newest = next((run for run in newest_first if not run.look().over), None)
    if newest is None or newest.question is None:
        raise TrainingProblem(
            "no training waits for a decision.", where=str(workspace.root), cure="See: opeddev-tui status."
        )
    return newest


def _seeds_in_progress(workspace: Workspace) -> list[FollowedRun]:
    """Return the runs of a step with several seeds that a process writes now."""
    members = [member.run for group in list_groups(workspace) for member in group.members]
    there = [run for run in dict.fromkeys(members) if is_written(workspace.run_folder(run))]
    return [FollowedRun(workspace, run) for run in there]


def answer(followed: FollowedRun, choice: Choice, note: str, patience: float = PATIENCE_SECONDS) -> Decided:
    """Answer the open question of the run and return the decision as the training recorded it.

    Raises ``TrainingProblem`` if no question is open, no process trains, the training does not record the answer within
    ``patience`` seconds, or another answer came first.
    """
    question = followed.question
    if question is None:
        status = followed.look().status
        raise TrainingProblem(
            f"no question is open: the run is {status}.", where=followed.run, cure="See: opeddev-tui status."
        )
    if not followed.alive:
        raise _gone(followed, "the training that asked no longer runs.")
    path = send(followed.folder, Decide(epoch=question.epoch, choice=choice, note=note))
    try:
        decided = _recorded(followed, question, path, patience)
    finally:
        # an answer that was not taken must not reach a later training
        path.unlink(missing_ok=True)
    if (decided.by, decided.choice) != ("person", choice):
        raise TrainingProblem(
            f"epoch {decided.epoch} was already decided: {decided.choice}, by {decided.by}.", where=followed.run
        )
    return decided


def _recorded(followed: FollowedRun, question: DecisionAwaited, path: Path, patience: float) -> Decided:
    """Wait until the journal has a decision for ``question`` and return it."""
    end = time.monotonic() + patience
    while True:
        # checked before the journal is read, so that nothing a process wrote before it ended is missed
        alive = followed.alive
        state = followed.look()
        decided = state.decided(question.epoch)
        # the question of the next epoch may be open already: a short epoch fits between two looks
        if decided is not None and state.question != question:
            return decided
        if state.over or not alive:
            raise _gone(followed, "the training ended before the answer arrived.")
        if time.monotonic() >= end:
            raise TrainingProblem(
                f"the answer did not arrive: the training has not {'taken' if path.exists() else 'recorded'} it within "
                f"{patience:g} s.",
                where=followed.run,
                cure="It may be busy: see opeddev-tui status, then decide again.",
            )
        time.sleep(_LOOK_SECONDS)


def _gone(followed: FollowedRun, message: str) -> Problem:
    return TrainingProblem(message, where=followed.run, cure="opeddev-tui train resumes the run and asks again.")
