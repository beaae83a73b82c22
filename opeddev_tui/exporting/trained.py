"""The settings by which a run was trained: what it asked, cut and read is what its export must ask, cut and read."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import load_step
from opeddev_tui.errors import Problem
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.runs.manifest import settings_of
from opeddev_tui.workspace.paths import Workspace

_KEPT = ("grading", "data")


def trained_settings(workspace: Workspace, run: str, settings: st.Settings) -> st.Settings:
    """Return ``settings`` with what ``run`` was trained by where it shapes prompts and grades.

    A run without a readable manifest is taken to have been trained by ``settings``.
    """
    recorded = settings_of(workspace.run_manifest(run))
    changed: dict[str, Any] = {}
    for section in _KEPT:
        mine = getattr(settings, section)
        try:
            # a version may have had other keys than this one
            known = {key: value for key, value in recorded.get(section, {}).items() if hasattr(mine, key)}
            changed[section] = msgspec.convert(known, type(mine)) if known else mine
        except msgspec.ValidationError:
            continue
    thinking = recorded.get("generation", {}).get("enable_thinking")
    if isinstance(thinking, bool):
        changed["generation"] = replace(settings.generation, enable_thinking=thinking)
    return replace(settings, **changed)


def trained_completions(workspace: Workspace, record: RunRecord, settings: st.Settings) -> Sequence[str]:
    """Return the completions of the rows that a run was trained on; none where they are not there any more."""
    try:
        steps = read_steps(workspace, settings, list_runs(workspace), fetch=False)
        data = load_step(workspace.root, settings, steps.again(record.state.begun.batches))
    except (Problem, ValueError):
        return ()
    return [example.completion for example in data.examples]
