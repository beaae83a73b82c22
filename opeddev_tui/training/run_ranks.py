"""Make the team of each attempt at a run: the orders for the other ranks, and digests to compare their data with."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
import torch

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import StepData
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.fingerprint import fingerprint
from opeddev_tui.models.precision import device_name
from opeddev_tui.ranks import orders
from opeddev_tui.ranks.children import LocalHands
from opeddev_tui.ranks.crew import Crew
from opeddev_tui.ranks.team import Team
from opeddev_tui.ranks.words import Ready
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.control import Control
from opeddev_tui.training.grading_parts import nothing_graded, wants_grades
from opeddev_tui.training.hand import rows_digest
from opeddev_tui.training.inputs import StepTokens
from opeddev_tui.training.trainer_arguments import Plan
from opeddev_tui.workspace.paths import Workspace


class RunRanks:
    """The teams of one run, one for each attempt; ``crew`` are the hands that a launcher has started, if it has."""

    def __init__(
        self,
        workspace: Workspace,
        settings: st.Settings,
        bus: Bus,
        control: Control,
        source: str,
        data: StepData,
        tokens: StepTokens,
        *,
        crew: Crew | None,
        raise_if_stopped: Callable[[], None],
    ) -> None:
        self._workspace, self._settings = workspace, settings
        self._bus, self._control = bus, control
        self._source, self._data, self._tokens = source, data, tokens
        self._crew, self._raise_if_stopped = crew, raise_if_stopped

    def attempt(self, plan: Plan, resume: Path | None) -> AbstractContextManager[Team | None]:
        """Return the team for an attempt by ``plan``, from the checkpoint ``resume``; None with one process."""
        if plan.processes == 1:
            return nullcontext()
        run = self._bus.state.begun.run
        settings = self._settings
        held = self._data.holdout.examples
        given = orders.Orders(
            root=str(self._workspace.root),
            run=run,
            settings=msgspec.to_builtins(settings),
            batches=[orders.BatchName.of(item.batch) for item in self._data.batches],
            source=self._source,
            resume=str(resume) if resume is not None else "",
            checkpoints=str(plan.output),
            batch_size=plan.batch_size,
            accumulation=plan.accumulation,
            learning_rate=plan.learning_rate,
            max_epochs=plan.max_epochs,
            processes=plan.processes,
            threads=torch.get_num_threads(),
            grades=wants_grades(settings, self._bus.state.begun.metric) and not nothing_graded(held),
            secret=secrets.token_hex(16),
        )
        silence = 60 * settings.training.rank_timeout_minutes
        return Team(
            self._workspace.run_folder(run),
            given,
            self._crew if self._crew is not None else LocalHands(plan.processes),
            self._bus,
            self._control,
            silence=silence,
            raise_if_stopped=self._raise_if_stopped,
        )

    def assemble(self, team: Team, model: CausalLM) -> None:
        """Wait until all ranks have read what rank 0 has; raises a ``Problem`` that names one that has not."""
        team.assemble(Ready(rows_digest(self._tokens), fingerprint(model), device_name()))
