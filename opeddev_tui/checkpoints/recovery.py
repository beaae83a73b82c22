"""Describe a run that ended badly: what happened, which checkpoint is whole, where a resume would continue.

Reads the journal and every byte of the newest checkpoints; changes nothing.
"""

import time

import psutil
from msgspec import Struct

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


class Recovery(Struct, frozen=True):
    """What is known about a run that neither finished nor was stopped on request."""

    run: str
    step: int
    optimizer_step: int
    last_event_at: float
    # the recorded failure; empty: the process ended without recording one
    failure: str = ""
    resumable: bool = True
    # the machine was started again after the run's last event
    restarted: bool = False
    question_epoch: int | None = None
    safe: str = ""
    safe_step: int = 0
    safe_epoch: float = 0.0
    rejected: tuple[tuple[str, str], ...] = ()
    # why a training would not resume it, and why it would not begin its step anew: a line for each problem
    refused: str = ""
    anew_refused: str = ""


# problems that are named
_MOST = 3


def needs_recovery(state: RunState, *, alive: bool) -> bool:
    """True for a run whose process ended without recording why, or that failed because of a bug."""
    if alive or state.started is None or not state.counts:
        return False  # a repetition is begun again, and seeds are taken up together
    status = status_of(state, alive=alive)
    unrecorded = status == "interrupted" and state.interrupted is None
    return unrecorded or (status == "failed" and state.failure is not None and state.failure.kind == "bug")


def examine(workspace: Workspace, run: str, state: RunState) -> Recovery:
    """Return what ``run`` left, with its checkpoints verified now."""
    found = folders.newest_verified(workspace.checkpoints(run), for_resume=True)
    manifest = folders.read_manifest(found.folder) if found.folder else None
    failed = state.failure if state.status == "failed" else None
    return Recovery(
        run=run,
        step=state.started.step if state.started else 0,
        optimizer_step=state.progress.global_step if state.progress else 0,
        last_event_at=state.last_event_at,
        failure=failed.message if failed else "",
        resumable=failed.resumable if failed else True,
        restarted=psutil.boot_time() > state.last_event_at,
        question_epoch=state.question.epoch if state.question else None,
        safe=found.folder.name if found.folder else "",
        safe_step=manifest.global_step if manifest else 0,
        safe_epoch=manifest.epoch if manifest else 0.0,
        rejected=tuple((folder.name, problem) for folder, problem in found.rejected),
    )


def in_words(found: Recovery, now: float | None = None) -> list[str]:
    """Return sentences on what happened, on the last verified checkpoint and on what a resume would do, cleaned."""
    return [clean_line(line) for line in (_happened(found, now or time.time()), *_safe(found), *_would(found))]


def _happened(found: Recovery, now: float) -> str:
    minutes = max(0.0, now - found.last_event_at) / 60
    ago = f"{minutes:.0f} min" if minutes >= 1 else "less than a minute"
    at = f"at optimizer step {found.optimizer_step}" if found.optimizer_step else "before its first optimizer step"
    if found.failure:
        return f"Run {found.run} (step {found.step}) ended {at}, {ago} ago, with an error: {found.failure}"
    cause = "the machine was restarted since" if found.restarted else "a crash or a kill"
    return f"Run {found.run} (step {found.step}) was interrupted {at}: {cause}. Its last event was {ago} ago."


def _safe(found: Recovery) -> list[str]:
    lines = [f"{name} cannot be trusted: {problem}." for name, problem in found.rejected]
    if not found.safe:
        return [*lines, "This run has no verified checkpoint; the checkpoints of earlier steps are untouched."]
    place = f"optimizer step {found.safe_step}, epoch {found.safe_epoch:g}"
    return [*lines, f"Last verified checkpoint: {found.safe} ({place}); every byte was checked just now."]


def _would(found: Recovery) -> list[str]:
    if found.anew_refused:
        return ["It can neither be resumed nor begun again as the workspace is now:", *_first(found.anew_refused)]
    if not found.resumable:
        return ["It cannot be resumed; a new run starts from the previous step's checkpoint."]
    if found.refused:
        return ["It cannot be resumed as the workspace is now:", *_first(found.refused)]
    again = max(0, found.optimizer_step - found.safe_step)
    line = f"A resume continues from {found.safe or 'the beginning of the step'}"
    line += f" and trains {again} optimizer steps again." if again else "; no optimizer step is trained again."
    if found.question_epoch is not None:
        line += f" The decision after epoch {found.question_epoch} will be asked again."
    return [line]


def _first(problems: str) -> list[str]:
    """Return the first problems, and how many more there are."""
    lines = problems.splitlines()
    more = len(lines) - _MOST
    return [*lines[:_MOST], *([f"… and {more:,} more: opeddev-tui check names all."] if more > 0 else [])]
