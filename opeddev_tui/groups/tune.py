"""Compare settings on folds of a step's training rows, in child processes. The hold-out is never opened.

The leader holds the workspace's lock, trains nothing itself and must not load the training stack.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from opeddev_tui.analysis.tune_table import TuneTable, tune_table
from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.config.loading import LoadedSettings, load
from opeddev_tui.data.batches import LoadedBatch, load_rows
from opeddev_tui.data.folds import folds_of
from opeddev_tui.errors import SettingsProblem, TrainingProblem
from opeddev_tui.format import duration
from opeddev_tui.groups.children import Ended, Work, code_of, run_children
from opeddev_tui.groups.gpus import shares_of, visible_gpus
from opeddev_tui.groups.requests import View
from opeddev_tui.groups.tune_settings import read_grid, settings_digest
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import FanOut
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.live_file import LiveFile
from opeddev_tui.runs.tunings import (
    Cell,
    Tuning,
    cell_folder,
    list_tunings,
    place_of,
    results_of,
    write_tuning,
)
from opeddev_tui.training.plan import StepPlan, plan_step
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace

MOST_FOLDS = 10
# what costs time and says nothing of a setting; nobody is asked
_ALWAYS = ("early_stop.policy=rule", "generation.num_probes=0", "generation.probes=[]", "generation.prompts=[]")


class TuneRequest(Struct, frozen=True):
    """What is compared: ``words`` (KEY=A,B; none: go on with the newest), the step, the folds.

    ``at_once`` children train at a time (0: one per GPU, one on a CPU); after ``hours`` no other begins (0: no limit).
    """

    words: tuple[str, ...] = ()
    step: str = "next"
    folds: int = 3
    at_once: int = 0
    hours: float = 0.0
    overrides: tuple[str, ...] = ()


class Tuned(Struct, frozen=True):
    """What came of a comparison, and of the trainings that did not finish."""

    tuning: Tuning
    table: TuneTable
    failed: tuple[Ended, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if every training of the call finished, else that of the first which did not."""
        return code_of(self.failed)


def tune(root: Path, loaded: LoadedSettings, request: TuneRequest, view: View, control: Control) -> Tuned:
    """Train what is left of the comparison and return its table; raises ``Problem`` before anything is trained."""
    if not 2 <= request.folds <= MOST_FOLDS:
        raise SettingsProblem(f"{request.folds} folds are not possible.", where="--folds", cure="Write 2 to 10.")
    workspace = Workspace(root, loaded.settings.paths)
    lock = RunLock(workspace)
    # no sink: the view shows everything itself
    with lock, LiveFile(workspace, FanOut(())) as shown:
        lock.tell = view.tell
        tuning = _newest(workspace, loaded) if not request.words else _asked(workspace, loaded, request)
        leader = _Leader(workspace, loaded, request, view, control, shown)
        failed = leader.train(tuning)
        return Tuned(tuning, tune_table(tuning, results_of(workspace, tuning)), tuple(failed))


def _newest(workspace: Workspace, loaded: LoadedSettings) -> Tuning:
    """Return the newest comparison; raises ``Problem`` where there is none, or where it would go on with others."""
    found = list_tunings(workspace)
    if not found:
        raise SettingsProblem(
            "no settings to compare are given.", where="tune", cure="Write: tune learning_rate=1e-5,2e-5,5e-5."
        )
    tuning = found[-1]
    if len(results_of(workspace, tuning)) < len(tuning.cells):
        steps = read_steps(workspace, loaded.settings, list_runs(workspace))
        now = load(workspace.root, overrides=tuning.overrides).settings
        changed = "settings" if settings_digest(now) != tuning.settings else ""
        if steps.steps.numbered(tuning.step) is None or tuning.rows != _digest(
            load_rows(workspace.root, loaded.settings, tuple(steps.data_of(tuning.step)))[0]
        ):
            changed = "training rows"
        if changed:
            raise TrainingProblem(
                f"the comparison {tuning.id} cannot go on: the {changed} have changed since it began.",
                cure="Begin it anew: tune KEY=A,B.",
            )
    return tuning


def _asked(workspace: Workspace, loaded: LoadedSettings, request: TuneRequest) -> Tuning:
    """Return the comparison that ``request`` asks for: the same one that was begun before, else a new one."""
    settings, records = loaded.settings, list_runs(workspace)
    found = read_steps(workspace, settings, records)
    plan = plan_step(workspace, settings.training.start_from, found, records, StepRequest(which=request.step, new=True))
    if plan is None:
        raise TrainingProblem(
            "every step is trained.", cure="Name the step whose rows are used: opeddev-tui tune --step K."
        )
    grid = read_grid(workspace.root, request.words, request.overrides, from_parent=plan.parent is not None)
    tuning = Tuning(
        id=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-step{plan.step}-{secrets.token_hex(2)}",
        step=plan.step,
        batch=plan.batch.name,
        parent=workspace.named(str(plan.parent)) if plan.parent is not None else "",
        grid=grid,
        folds=request.folds,
        seed=settings.training.seed,
        metric=settings.early_stop.metric,
        settings=settings_digest(settings),
        rows=_rows(workspace, loaded, plan, request.folds),
        overrides=request.overrides,
        created=time.time(),
    )
    known = next((item for item in reversed(list_tunings(workspace)) if tuning.same_as(item)), None)
    if known is None:
        write_tuning(workspace, tuning)
    return known or tuning


def _rows(workspace: Workspace, loaded: LoadedSettings, plan: StepPlan, folds: int) -> str:
    """Return the SHA-256 of the step's rows; raises ``Problem`` where they cannot be divided into ``folds``."""
    batches, _ = load_rows(workspace.root, loaded.settings, plan.data)
    examples = [example for batch in batches for example in batch.examples]
    folds_of(examples, folds, loaded.settings.training.seed, loaded.settings.data.near_duplicate)
    return _digest(batches)


def _digest(batches: Sequence[LoadedBatch]) -> str:
    return hashlib.sha256("".join(batch.version for batch in batches).encode()).hexdigest()


class _Leader:
    """Leads the children of one comparison; the caller holds the workspace's lock."""

    def __init__(
        self,
        workspace: Workspace,
        loaded: LoadedSettings,
        request: TuneRequest,
        view: View,
        control: Control,
        sink: ev.Sink,
    ) -> None:
        self._workspace, self._loaded, self._request = workspace, loaded, request
        self._view, self._control, self._sink = view, control, sink
        self._began = time.monotonic()
        self._done = 0
        self._messages: set[str] = set()

    def train(self, tuning: Tuning) -> list[Ended]:
        """Train every setting on every fold that is not done; return how those ended that did not finish."""
        finished = results_of(self._workspace, tuning)
        for cell in finished:
            # those of a training that had just finished when the leader was killed
            _drop_checkpoints(self._workspace, tuning, cell)
        left = [cell for cell in tuning.cells if cell not in finished]
        if not left:
            return []
        gpus = shares_of(visible_gpus(), self._loaded.settings.training)
        at_once = min(self._request.at_once or len(gpus) or 1, len(left))
        slots = [gpus[number % len(gpus)] if gpus else "" for number in range(at_once)]
        self._view.tell(self._beginning(tuning, left, at_once))
        works = {self._work(tuning, cell): cell for cell in left}
        failed: list[Ended] = []

        def began(work: Work, _pid: int) -> None:
            _forget(self._workspace, tuning, works[work])
            self._sink.emit(ev.PhaseChanged(phase="comparing settings", detail=work.label))

        def ended(item: Ended) -> bool:
            if item.finished:
                self._done += 1
                self._tell_result(tuning, item, len(left), at_once)
            else:
                failed.append(item)
                self._view.tell(f"{item.work.label} is not finished: {item.reason}")
            _drop_checkpoints(self._workspace, tuning, works[item.work])
            return self._goes_on(item)

        run_children(
            list(works), slots, self._workspace.root,
            show=lambda *_: None, began=began, ended=ended, stopping=lambda: self._control.take_stop() is not None,
        )  # fmt: skip
        return failed

    def _goes_on(self, item: Ended) -> bool:
        """Return whether other trainings are begun after ``item``."""
        hours = self._request.hours
        if hours and time.monotonic() - self._began > hours * 3600:
            self._view.tell(f"{hours:g} h are over: what is left goes on with opeddev-tui tune.")
            return False
        # the same words twice before anything has finished: it is not one setting's fault
        again = not item.finished and not self._done and item.reason in self._messages
        self._messages.add(item.reason if not item.finished else "")
        return not again

    def _work(self, tuning: Tuning, cell: Cell) -> Work:
        evaluates = "true" if tuning.metric == "grade" else "false"
        settings = [*tuning.overrides, *tuning.grid[cell.setting], *_ALWAYS, f"grading.evaluate={evaluates}"]
        threads = _threads(self._loaded, self._request.at_once)
        settings += [f"training.torch_num_threads={threads}"] if threads else []
        name = f"{tuning.id}:{cell.setting}:{cell.fold}"
        words = ["tune", "-w", str(self._workspace.root), f"--member={name}", *(f"--set={item}" for item in settings)]
        label = f"{' '.join(tuning.grid[cell.setting])}, fold {cell.fold + 1}"
        return Work(label, tuple(words), cell_folder(self._workspace, tuning, cell))

    def _beginning(self, tuning: Tuning, left: Sequence[Cell], at_once: int) -> str:
        count = f"{len(tuning.grid)} settings on {tuning.folds} folds of step {tuning.step}: {len(left)} trainings"
        seconds = _forecast(self._loaded, list_runs(self._workspace), tuning)
        if seconds is None:
            return f"{count}. How long it takes is told after the first one."
        return f"{count}, about {duration(seconds * len(left) / at_once)} without loading the model."

    def _tell_result(self, tuning: Tuning, item: Ended, trainings: int, at_once: int) -> None:
        cell = next(cell for cell in tuning.cells if cell.run == item.work.folder.name)
        table = tune_table(tuning, results_of(self._workspace, tuning))
        value = table.settings[cell.setting].folds[cell.fold]
        shown = "not measured" if value is None else f"{value:.4f}"
        rest = (time.monotonic() - self._began) / self._done * (trainings - self._done)
        # the first of several at once says little of the pace
        left = f"; about {duration(rest)} left" if trainings > self._done >= at_once else ""
        self._view.tell(f"{item.work.label}: {table.metric} {shown}{left}")


def _threads(loaded: LoadedSettings, at_once: int) -> int:
    """Return the CPU threads of each of ``at_once`` trainings; 0 leaves it to the settings."""
    if at_once < 2 or loaded.settings.training.torch_num_threads:
        return 0
    return max(1, (os.cpu_count() or 1) // at_once)


def _forecast(loaded: LoadedSettings, records: Sequence[RunRecord], tuning: Tuning) -> float | None:
    """Return the seconds of one training by the speed of the newest run with the same model, None without one."""
    settings = loaded.settings
    for record in reversed(records):
        state = record.state
        speeds = [row.samples_per_second for row in state.epochs.values() if row.samples_per_second]
        if speeds and state.begun.model == settings.model.name:
            rows = state.begun.rows if state.begun.step == tuning.step else state.begun.rows + 100
            share = 1 - 1 / tuning.folds
            return rows * share * settings.training.num_train_epochs / statistics.median(speeds)
    return None


def _forget(workspace: Workspace, tuning: Tuning, cell: Cell) -> None:
    """Delete what a training that did not finish left: it begins anew."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(cell_folder(workspace, tuning, cell))
    _drop_checkpoints(workspace, tuning, cell)


def _drop_checkpoints(workspace: Workspace, tuning: Tuning, cell: Cell) -> None:
    """Delete the checkpoints of a training: only its figures are of use."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place_of(workspace, tuning).checkpoints(cell.run))
