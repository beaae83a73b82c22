"""Lead the child processes that train one step with several seeds, and choose the step's run. Trains nothing itself.

Must not load the training stack: its children do.
"""

import os
import time
from collections.abc import Sequence

from msgspec.structs import replace

from opeddev_tui.analysis.seed_figures import StepSpread, choose, step_spread
from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.data.batches import load_step
from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.files import storage_errors
from opeddev_tui.groups.children import Ended, Work, run_children
from opeddev_tui.groups.choice import make_chosen
from opeddev_tui.groups.gpus import shares_of, visible_gpus
from opeddev_tui.groups.requests import MOST_SEEDS, SeedsRequest, Trained, View, open_among, parse_seeds
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.groups import Group, Member, list_groups, to_train, write_group
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.journal import read
from opeddev_tui.text import clean_line
from opeddev_tui.training.plan import StepPlan, plan_step
from opeddev_tui.workspace.paths import Workspace, new_run_id


class Leader:
    """Leads the runs of one step after the other; the caller holds the workspace's lock."""

    def __init__(
        self,
        workspace: Workspace,
        loaded: LoadedSettings,
        request: SeedsRequest,
        view: View,
        control: Control,
        sink: ev.Sink,
    ) -> None:
        self.request = request
        self._workspace, self._loaded = workspace, loaded
        self._view, self._control, self._sink = view, control, sink
        self._stopping = False
        self._gpus = shares_of(visible_gpus(), loaded.settings.training)

    def step(self, trained: Trained) -> bool:
        """Train the next step of the request; return True if it is done and its run chosen."""
        group = self._group()
        if group is None:
            return False
        records = list_runs(self._workspace)
        left = to_train(group, records)
        ended = self._train(group, left) if left else []
        self._forget_if_nothing_began(group, list_runs(self._workspace))
        trained.failed += [item for item in ended if not item.finished]
        records = list_runs(self._workspace)
        spread = step_spread(group, records)
        unfinished = to_train(group, records)
        if unfinished:
            count = f"{len(unfinished)} of the {len(group.members)} seeds"
            self._view.tell(f"{count} are not done: opeddev-tui train --step {group.step} goes on with them.")
        done = not self._stopping and not unfinished and self._choose(group, spread)
        trained.steps.append(step_spread(group, list_runs(self._workspace)))
        return done

    # --- which runs

    def _group(self) -> Group | None:
        """Return the group to train: the open one of the step, else a new one; None where every step is trained."""
        records = list_runs(self._workspace)
        found = read_steps(self._workspace, self._loaded.settings, records)
        request = self.request
        group = None if request.step.new else open_among(list_groups(self._workspace), records, found, request.step)
        if group is not None:
            return self._taken_up(group)
        start_from = self._loaded.settings.training.start_from
        plan = plan_step(self._workspace, start_from, found, records, request.step)
        if plan is None:
            return None
        if plan.resume is not None:
            raise TrainingProblem(
                f"step {plan.step} has an unfinished run with one seed, {plan.resume.id}.",
                cure="Finish it with opeddev-tui train, or add --new to train the step with several seeds instead.",
            )
        # bad rows are told before anything is written
        load_step(self._workspace.root, self._loaded.settings, plan.data)
        group = self._new_group(plan, records)
        write_group(self._workspace, group)
        self._view.tell(_beginning(group, len(self._slots(len(to_train(group, records))))))
        return group

    def _new_group(self, plan: StepPlan, records: Sequence[RunRecord]) -> Group:
        seeds = self.request.seeds or parse_seeds("3", self._loaded.settings.training.seed)
        known = self._workspace.run_ids()
        members = [Member(item.state.begun.seed, item.id) for item in records if item.id in self.request.beside]
        taken = [member.seed for member in members]
        for seed in seeds:
            if seed not in taken:
                known.append(new_run_id(plan.step, plan.batch.name, known))
                members.append(Member(seed, known[-1]))
        if len(members) == len(self.request.beside):
            raise SettingsProblem(f"the seeds {_listed(taken)} are trained already.", where="--seeds")
        how = self.request.choose or "best"
        _check_choice(how, [member.seed for member in members])
        return Group(
            id=f"seeds-{members[-1].run}",
            step=plan.step,
            batch=plan.batch.name,
            parent=self._workspace.named(str(plan.parent)) if plan.parent is not None else "",
            members=tuple(members),
            choose=how,
            policy=self.request.policy or "rule",
            created=time.time(),
            threads=self._threads(),
        )

    def _taken_up(self, group: Group) -> Group:
        """Return the open ``group`` as this call wants it; raises ``TrainingProblem`` for other seeds."""
        seeds = self.request.seeds
        if seeds is not None and set(seeds) != set(group.seeds):
            raise TrainingProblem(
                f"step {group.step} is being trained with the seeds {_listed(group.seeds)}.",
                cure="Go on with them: opeddev-tui train. Other seeds instead: add --new.",
            )
        how, policy = self.request.choose or group.choose, self.request.policy or group.policy
        _check_choice(how, group.seeds)
        if (how, policy) != (group.choose, group.policy):
            group = replace(group, choose=how, policy=policy)
            write_group(self._workspace, group)
        self._view.tell(f"Going on with step {group.step} and the seeds {_listed(group.seeds)}.")
        return group

    def _forget_if_nothing_began(self, group: Group, records: Sequence[RunRecord]) -> None:
        """Delete the record of a group if none of its own runs began."""
        if not any(record.state.group == group.id for record in records):
            path = self._workspace.group_file(group.id)
            with storage_errors(path):
                path.unlink(missing_ok=True)

    # --- the children

    def _train(self, group: Group, left: Sequence[Member]) -> list[Ended]:
        """Train the runs that are left, those whose process was killed a second time; return how each ended."""
        ended = self._run(group, left)
        crashed = [member for member in left if _crashed(ended.get(member.run))]
        if crashed and not self._stopping:
            for member in crashed:
                self._view.tell(f"seed {member.seed}: {ended[member.run].reason}; it goes on from its last checkpoint.")
            ended |= self._run(group, crashed)
        for item in ended.values():
            if not item.finished:
                self._view.tell(f"{item.work.label} is not finished: {item.reason}")
        return list(ended.values())

    def _run(self, group: Group, members: Sequence[Member]) -> dict[str, Ended]:
        gpus = self._slots(len(members))
        works = [self._work(group, member) for member in members]
        found: dict[str, Ended] = {}

        def began(work: Work, pid: int) -> None:
            place = f"{work.label}, {works.index(work) + 1} of {len(works)}"
            self._sink.emit(ev.PhaseChanged(phase="training seeds", detail=place))
            self._view.tell(f"{work.label} trains in process {pid}, as run {work.folder.name}.")

        def ended(item: Ended) -> bool:
            found[item.work.folder.name] = item
            # what is wrong before a run begins is wrong for every seed
            return item.began or item.code <= 0

        def stopping() -> bool:
            self._stopping = self._stopping or self._control.take_stop() is not None
            return self._stopping

        root = self._workspace.root
        run_children(works, gpus, root, show=self._view.show, began=began, ended=ended, stopping=stopping)
        return found

    def _slots(self, runs: int) -> list[str]:
        """Return the GPUs of each child that trains at the same time, "" for one without a GPU of its own."""
        gpus = self._gpus
        at_once = min(self.request.at_once or len(gpus) or 1, runs)
        return [gpus[number % len(gpus)] if gpus else "" for number in range(at_once)]

    def _threads(self) -> int:
        """Return the CPU threads per run where several share the CPU; 0 leaves it to the settings."""
        at_once = len(self._slots(MOST_SEEDS)) if self.request.at_once > 1 else 1
        if at_once == 1 or self._loaded.settings.training.torch_num_threads or self._gpus:
            return 0
        return max(1, (os.cpu_count() or 1) // at_once)

    def _work(self, group: Group, member: Member) -> Work:
        settings = [*self.request.overrides, f"training.seed={member.seed}", f"early_stop.policy={group.policy}"]
        settings += [f"training.torch_num_threads={group.threads}"] if group.threads else []
        words = ["train", "-w", str(self._workspace.root), "--member", f"{group.id}:{member.seed}"]
        words += [f"--set={setting}" for setting in settings]
        return Work(f"seed {member.seed}", tuple(words), self._workspace.run_folder(member.run))

    # --- the choice

    def _choose(self, group: Group, spread: StepSpread) -> bool:
        """Choose the step's run and tell it; return False where none can be chosen or a person is asked."""
        chosen = choose(spread, group.choose)
        if chosen is None:
            self._view.tell(_not_chosen(group, spread))
            return False
        make_chosen(self._workspace, group, chosen.run, _by(group.choose))
        self._view.tell(f"Seed {chosen.seed} is the step's run ({_by(group.choose)}): {chosen.run}.")
        if group.choose == "best" and len(spread.finished) > 1:
            self._view.tell(
                f"It is the best of {len(spread.finished)} on the same hold-out, so its figures are a little better "
                "than it is; the mean over the seeds is the fair one."
            )
        # for the notices and the plots of the step
        for event in read(self._workspace.run_folder(chosen.run)):
            if isinstance(event, ev.RunStarted | ev.RunFinished):
                self._sink.emit(event)
        return True


def _crashed(item: Ended | None) -> bool:
    """True for a run that began and whose process ended without recording why."""
    return item is not None and item.began and not item.state.over


def _check_choice(how: str, seeds: Sequence[int]) -> None:
    if how.isdecimal() and int(how) not in seeds:
        raise SettingsProblem(f"{how} is none of the seeds {_listed(seeds)}.", where="--choose")


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _by(how: str) -> str:
    return f"seed {how}" if how.isdecimal() else how


def _beginning(group: Group, slots: int) -> str:
    who = "the rule decides after each epoch" if group.policy == "rule" else "each asks you after each epoch"
    how = "at once" if slots >= len(group.members) else "one after the other" if slots == 1 else f"{slots} at a time"
    return f"Step {group.step} ({clean_line(group.batch)}) with the seeds {_listed(group.seeds)}, {how}; {who}."


def _not_chosen(group: Group, spread: StepSpread) -> str:
    if not spread.finished:
        return f"No seed of step {group.step} is finished, so none can be chosen."
    wanted = "" if group.choose == "ask" else f"Seed {group.choose} is not finished. "
    return f"{wanted}Choose the step's run: opeddev-tui checkpoints take {spread.finished[0].run} (or another)."
