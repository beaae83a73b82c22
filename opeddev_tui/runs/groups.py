"""Runs of one step that differ in their seed alone: the record of the group, and what its runs still need.

The record is written before any of its runs begins, so that a killed group goes on where it was. Which run counts as
the step's is an event in that run's journal, never a field of the record.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.files import read_record, reason_of, write_atomic
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.workspace.paths import Workspace


class Member(Struct, frozen=True):
    """One run of a group: its seed and its id, which is given before it begins."""

    seed: int
    run: str


class Group(Struct, frozen=True):
    """The runs of ``step`` with several seeds, all from ``parent`` (empty: the base model) and on ``batch``.

    ``choose`` says how the step's run is chosen: best, median, ask or a seed; ``policy`` who decides after an epoch.
    """

    id: str
    step: int
    batch: str
    parent: str
    members: tuple[Member, ...]
    choose: str = "best"
    policy: str = "rule"
    created: float = 0.0
    # CPU threads of each run where several share the CPU; 0: as the settings say
    threads: int = 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds in their order."""
        return tuple(member.seed for member in self.members)

    def member(self, seed: int) -> Member:
        """Return the run of ``seed``; raises ``TrainingProblem`` if the group has none."""
        found = next((member for member in self.members if member.seed == seed), None)
        if found is None:
            raise TrainingProblem(
                f"the group {self.id} has no seed {seed}.", cure=f"It has: {', '.join(map(str, self.seeds))}."
            )
        return found


class Undecided(Struct, frozen=True):
    """The seeds of ``step``, none of which is its run yet: ``left`` are to be trained, ``finished`` are their runs."""

    step: int
    seeds: int
    left: int
    finished: tuple[str, ...]

    @property
    def problem(self) -> str:
        """Why the step cannot be trained as others are."""
        seeds = f"step {self.step} was trained with {self.seeds} seeds, and"
        if self.left:
            return f"step {self.step} is trained with {self.seeds} seeds, and {self.left} of them are not done."
        return f"{seeds} none of them is {'chosen' if self.finished else 'finished'}."

    @property
    def cure(self) -> str:
        """What a person does about it: go on with the seeds, choose one of them, or train another one."""
        if self.left:
            return "Go on with them: opeddev-tui train. A single run instead: opeddev-tui train --new."
        if not self.finished:
            return "Train it with one seed: opeddev-tui train --new."
        return f"Choose one: opeddev-tui checkpoints take {self.finished[0]} (or another)."


def write_group(workspace: Workspace, group: Group) -> None:
    """Write the record of ``group``; raises ``StorageProblem``."""
    content = msgspec.json.format(msgspec.json.encode(group), indent=1) + b"\n"
    write_atomic(workspace.group_file(group.id), content, mode=0o600)


def read_group(workspace: Workspace, group: str) -> Group:
    """Return the record of ``group``; raises ``TrainingProblem`` where it cannot be read."""
    path = workspace.group_file(group)
    try:
        return read_record(path, Group)
    except (OSError, ValueError) as error:
        raise TrainingProblem(
            f"the record of the seeds {group} cannot be read: {reason_of(error)}.",
            where=str(path),
            cure="Train the step again with other seeds: opeddev-tui train --seeds N --new.",
        ) from error


def list_groups(workspace: Workspace) -> list[Group]:
    """Return every group whose record can be read, oldest first."""
    found = []
    for name in workspace.group_ids():
        try:
            found.append(read_group(workspace, name))
        except TrainingProblem:
            continue
    return sorted(found, key=lambda group: (group.created, group.id))


def group_of(groups: Sequence[Group], run: str) -> Group | None:
    """Return the newest of ``groups`` that has ``run``, None if none has."""
    return next((group for group in reversed(groups) if any(item.run == run for item in group.members)), None)


def to_train(group: Group, records: Sequence[RunRecord]) -> list[Member]:
    """Return the members that a training goes on with: those that neither finished nor failed for good."""
    states = {record.id: record.state for record in records}
    left = []
    for member in group.members:
        state = states.get(member.run)
        for_good = state is not None and state.failure is not None and not state.failure.resumable
        if state is None or (state.status != "finished" and not for_good):
            left.append(member)
    return left


def chosen_run(group: Group, records: Sequence[RunRecord]) -> RunRecord | None:
    """Return the run of ``group`` that was chosen as the step's, None if none is yet; of two the newest choice."""
    own = {member.run for member in group.members}
    chosen = [
        (record.state.chosen.at, record.id, record)
        for record in records
        if record.id in own and record.state.chosen is not None and record.state.chosen.chosen
    ]
    return max(chosen)[-1] if chosen else None


def is_open(group: Group, records: Sequence[RunRecord]) -> bool:
    """True while a run of ``group`` is to be trained or chosen, and no later run of its step is the step's."""
    members = {member.run for member in group.members}
    # a run that was there before may have been chosen in an older group
    decided = [record.state.chosen for record in records if record.id in members]
    if any(item is not None and item.group == group.id for item in decided):
        return False
    newest = max(members)
    return not any(record.step == group.step and record.state.counts and record.id > newest for record in records)


def open_group(groups: Sequence[Group], records: Sequence[RunRecord], step: int) -> Group | None:
    """Return the newest group of ``step`` that is open, None if there is none."""
    return next((group for group in reversed(groups) if group.step == step and is_open(group, records)), None)


def undecided(groups: Sequence[Group], records: Sequence[RunRecord], step: int) -> Undecided | None:
    """Return the seeds of ``step`` where they are to be trained or one is to be chosen, None where neither is."""
    group = open_group(groups, records, step)
    if group is None:
        return None
    done = {record.id for record in records if record.state.status == "finished"}
    finished = tuple(member.run for member in group.members if member.run in done)
    return Undecided(step, len(group.members), len(to_train(group, records)), finished)
