"""Owns children of a group that train in this process, without learning: the leader's own code is what is tested."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import recorded_training

from opeddev_tui.cli import build_parser
from opeddev_tui.config.loading import load
from opeddev_tui.errors import Problem
from opeddev_tui.groups.children import Ended, Show, Work
from opeddev_tui.runs.bus import FanOut
from opeddev_tui.runs.control import Control, StepRequest
from opeddev_tui.runs.groups import read_group
from opeddev_tui.runs.journal import read
from opeddev_tui.runs.state import reduce
from opeddev_tui.workspace.paths import Workspace


class Children:
    """Stands in for ``run_children``. ``fail`` says which label ends in which problem, ``die`` which is killed once."""

    def __init__(self) -> None:
        self.fail: dict[str, Problem] = {}
        self.die: set[str] = set()
        self.trained: list[str] = []
        self.stop_after = ""

    def __call__(
        self,
        works: Sequence[Work],
        gpus: Sequence[str],  # noqa: ARG002 - as the real one
        cwd: Path,
        *,
        show: Show,
        began: Callable[[Work, int], None],
        ended: Callable[[Ended], bool],
        stopping: Callable[[], bool],
    ) -> None:
        """Train ``works`` one after the other."""
        for work in works:
            if stopping():
                return
            began(work, 1)
            before = len(read(work.folder)) if work.folder.is_dir() else 0
            code, said = self._train(work, cwd)
            self.trained.append(work.label)
            events = read(work.folder) if work.folder.is_dir() else []
            for event in events:
                show(work.label, event)
            if not ended(Ended(work, code, reduce(events), said, len(events) > before)):
                return

    def _train(self, work: Work, root: Path) -> tuple[int, str]:
        from opeddev_tui.training.steps import train_steps

        options = build_parser("train").parse_args(list(work.words))
        loaded = load(root, environment={}, overrides=options.overrides)
        group_id, _, seed = options.member.rpartition(":")
        group = read_group(Workspace(root, loaded.settings.paths), group_id)
        request = StepRequest(which=str(group.step), group=group.id, run=group.member(int(seed)).run)
        with recorded_training.without_learning():
            if work.label in self.die:
                self.die.remove(work.label)
                recorded_training.MadeUpLearning.die_after = 1
            try:
                if work.label in self.fail:
                    raise self.fail[work.label]
                train_steps(root, loaded, request, sink=FanOut(()), control=Control(), lock=nullcontext())
            except Problem as problem:
                return problem.exit_code, str(problem)
            except recorded_training.Killed:
                # a killed process records no end
                assert recorded_training.MadeUpLearning.left is not None
                journal, content = recorded_training.MadeUpLearning.left
                journal.write_bytes(content)
                return -9, ""
        return 0, ""
