"""Train a step on all folds of its rows but one, and score it on that one, in a workspace of its own.

The person's workspace is only read: runs, checkpoints and features lie in the other one.
"""

from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.checkpoints.folders import in_use
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.models import loading
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.events import Sink
from opeddev_tui.runs.history import list_runs
from opeddev_tui.training.deciders import RuleDecider
from opeddev_tui.training.plan import Fold, StepPlan
from opeddev_tui.training.steps import Engine
from opeddev_tui.workspace.paths import Workspace


class FoldRun(Struct, frozen=True):
    """One training of a comparison: the step, the checkpoint it starts from (None: the base model), and the fold."""

    run: str
    step: int
    parent: Path | None
    number: int
    of: int
    seed: int


def train_fold(
    workspace: Workspace, loaded: LoadedSettings, other: Workspace, what: FoldRun, sink: Sink, control: Control
) -> None:
    """Train ``what`` with the settings ``loaded`` as a run of the workspace ``other``; raises ``Problem``."""
    loading.quiet_libraries()
    settings = loaded.settings
    found = read_steps(workspace, settings, list_runs(workspace))
    step = found.steps.numbered(what.step)
    if step is None:
        raise TrainingProblem(f"there is no step {what.step}.", cure="Put its batch back.")
    own = replace(
        settings,
        paths=other.paths,
        model=replace(settings.model, name=str(loading.source_of(workspace.root, settings.model.name))),
    )
    plan = StepPlan(
        step=what.step,
        batch=found.batch_of(step),
        parent=what.parent,
        resume=None,
        data=tuple(found.data_of(what.step)),
        run=what.run,
        fold=Fold(workspace.root, settings, what.number, what.of, what.seed),
    )
    other.adopt()
    engine = Engine(other, LoadedSettings(own, loaded.origins), sink, control, RuleDecider())
    with in_use(what.parent) if what.parent is not None else nullcontext():
        engine.step(plan)
