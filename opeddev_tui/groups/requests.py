"""What a training with several seeds is asked for and gives back; which open group a request goes on with."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field

from opeddev_tui.analysis.seed_figures import StepSpread
from opeddev_tui.analysis.workspace_steps import WorkspaceSteps, read_steps
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import SettingsProblem, TrainingProblem, did_you_mean
from opeddev_tui.groups.children import Ended, code_of
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.runs.groups import Group, group_of, list_groups, open_group
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.workspace.paths import Workspace

MOST_SEEDS = 100
_LARGEST_SEED = 2**32 - 1


class SeedsRequest(Struct, frozen=True):
    """What to train: the step, the seeds (None: those of the open group), and how the step's run is chosen.

    ``choose`` None: as the open group says, else best; ``policy`` None: likewise, else the rule. ``at_once`` children
    train at a time; 0: one per GPU, one on a CPU. ``overrides`` are the settings of the call, as for ``--set``.
    ``beside`` are finished runs that take part.
    """

    step: StepRequest
    seeds: tuple[int, ...] | None = None
    choose: str | None = None
    policy: str | None = None
    at_once: int = 0
    overrides: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class View(Protocol):
    """What shows the progress of several trainings."""

    def show(self, label: str, event: ev.AnyEvent) -> None:
        """Show what the run called ``label`` recorded."""

    def tell(self, text: str) -> None:
        """Show a sentence."""


class Trained(Struct):
    """What came of one call: the spread of each step, and the code and sentence of each seed that did not finish."""

    steps: list[StepSpread] = field(default_factory=list)
    failed: list[Ended] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if every seed finished, else that of the first which did not; 1 for a process that was killed."""
        return code_of(self.failed)


def parse_seeds(text: str, first: int) -> tuple[int, ...]:
    """Return the seeds that ``text`` names: "3" for three from ``first`` on, or "1,2,3". Raises ``SettingsProblem``."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    cure = "Write how many (--seeds 3), or which (--seeds 1,2,3)."
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise SettingsProblem(f"{text!r} names no seeds.", where="--seeds", cure=cure)
    numbers = [int(part) for part in parts]
    if len(parts) == 1 and "," not in text:
        if not 2 <= numbers[0] <= MOST_SEEDS:
            raise SettingsProblem(f"{text} is no number of seeds from 2 to {MOST_SEEDS}.", where="--seeds", cure=cure)
        numbers = list(range(first, first + numbers[0]))
    if len(set(numbers)) != len(numbers) or max(numbers) > _LARGEST_SEED or len(numbers) > MOST_SEEDS:
        raise SettingsProblem(
            f"{text!r} names no seeds: each may be there once, from 0 to {_LARGEST_SEED}, {MOST_SEEDS} at most.",
            where="--seeds",
            cure=cure,
        )
    return tuple(numbers)


def other_seeds(workspace: Workspace, run: str) -> tuple[StepRequest, dict[str, int]]:
    """Return how the step of the finished run ``run`` is trained with other seeds, and the seed of each run beside.

    Those are ``run`` and the finished ones of its group. Raises ``TrainingProblem`` where that is not possible.
    """
    records = {record.id: record for record in list_runs(workspace)}
    record = records.get(run)
    if record is None:
        cure = did_you_mean(run, records, "See the runs: opeddev-tui status.")
        raise TrainingProblem(f"there is no run {run}.", where=str(workspace.runs), cure=cure)
    if record.state.status != "finished" or record.state.repeats:
        what = "repeats another run" if record.state.repeats else "is not finished"
        raise TrainingProblem(f"run {run} {what}.", cure="Choose a finished run of a step.")
    group = group_of(list_groups(workspace), run)
    members = [run, *(member.run for member in group.members if member.run != run)] if group is not None else [run]
    beside = {
        name: records[name].state.begun.seed
        for name in members
        if name in records and records[name].state.status == "finished"
    }
    start = workspace.located(record.state.begun.parent) if record.state.begun.parent else ""
    return StepRequest(which=str(record.step), new=True, start_from=start), beside


def open_seeds(workspace: Workspace, loaded: LoadedSettings, request: StepRequest) -> Group | None:
    """Return the group that a training of ``request`` goes on with, None if the step has none that is open."""
    groups = list_groups(workspace)
    if not groups or request.new:
        return None
    records = list_runs(workspace)
    return open_among(groups, records, read_steps(workspace, loaded.settings, records), request)


def open_among(
    groups: Sequence[Group], records: Sequence[RunRecord], found: WorkspaceSteps, request: StepRequest
) -> Group | None:
    """Return the open one of ``groups`` that is of the step which ``request`` means, None if there is none."""
    upcoming = found.steps.next
    step = int(request.which) if request.which.isdecimal() else upcoming.number if upcoming is not None else -1
    return open_group(groups, records, step)
