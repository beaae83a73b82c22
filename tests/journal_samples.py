"""Owns made-up journals with known numbers: what plots, reports and notices are checked against."""

import json
from collections.abc import Sequence
from pathlib import Path

from opeddev_tui.config.settings import Paths
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.journal import Journal
from opeddev_tui.runs.state import reduce
from opeddev_tui.workspace.paths import Workspace

# text that would press keys, open a tag, run a script, be a formula or end a code block
NASTY = '\x1b]0;title\x07<script>alert(1)</script> $\\frac{1}{0}$ [link](http://example.org) | ``` & "q" \u202e'
START = 1_700_000_000.0


def verdict(epoch: int, choice: ev.Choice = "continue") -> ev.Verdict:
    """Return a plain verdict."""
    return ev.Verdict(epoch=epoch, choice=choice, limit_reached=False, reasons=("hold-out loss better by 0.1",))


def evaluated(epoch: int, loss: float, examples: int = 20, at: float = START) -> ev.HoldoutEvaluated:
    """Return an evaluation whose loss is ``loss``, with examples that differ."""
    tokens = tuple(10 + i % 3 for i in range(examples))
    shape = [0.8 + 0.4 * i / (examples - 1) for i in range(examples)]
    scale = loss * sum(tokens) / sum(s * t for s, t in zip(shape, tokens, strict=True))
    sums = tuple(scale * s * t for s, t in zip(shape, tokens, strict=True))
    return ev.HoldoutEvaluated(epoch=epoch, loss=loss, sums=sums, tokens=tokens, at=at)


def grades(epoch: int, exact: float = 0.4) -> ev.GradesMeasured:
    """Return measured grades with all baselines."""
    return ev.GradesMeasured(
        epoch=epoch, predicted=(1, 2, None, 4, 5), reference=(1, 2, 3, 4, 4), parsed=0.8, exact=exact, within_one=0.8,
        mean_absolute_error=0.25, kappa=0.5, kappa_interval=(0.1, 0.8), majority_exact=0.3, middle_within_one=0.6,
        n_grams={"exact": Figure(0.35), "within_one": Figure(0.7), "kappa": Figure(0.3), "mae": Figure(0.8)},
    )  # fmt: skip


def samples(epoch: int, text: str) -> ev.SamplesGenerated:
    """Return two probe prompts with ``text`` in what was written."""
    shown = tuple(
        ev.Sample(prompt=f"Grade task {i} {NASTY}", reference="Grade: 3\nFeedback: fine", text=f"{text} {i}",
                  grade=i, reference_grade=3)
        for i in range(2)
    )  # fmt: skip
    return ev.SamplesGenerated(epoch=epoch, global_step=10 * epoch, fingerprint="f", samples=shown)


def run_events(
    step: int,
    losses: Sequence[float],
    *,
    policy: str = "ask",
    texts: tuple[str, str] = ("before", "after"),
    against: bool = False,
    finished: bool = True,
) -> list[ev.AnyEvent]:
    """Return the journal of one step; ``losses`` are hold-out losses from epoch 0 on. Ten logged points an epoch."""
    run = f"run-{step}"
    last = len(losses) - 1
    found: list[ev.AnyEvent] = [
        ev.RunStarted(
            run=run, step=step, batch="base" if step == 0 else f"batch_100_{step:02}", rows=100 * (step + 1),
            holdout_rows=20, holdout_fingerprint="h" * 64, planned_epochs=last, max_epochs=last + 2, seed=42,
            model="m", policy=policy, at=START + 100 * step,
        )
    ]  # fmt: skip
    for epoch, loss in enumerate(losses):
        if epoch:
            found += [
                ev.Progress(global_step=10 * (epoch - 1) + i, epoch=epoch - 1 + i / 10, loss=loss + 0.1)
                for i in range(1, 11)
            ]
        found += [evaluated(epoch, loss), grades(epoch), samples(epoch, texts[0] if epoch == 0 else texts[1])]
        if epoch:
            found.append(
                ev.CheckpointSaved(
                    path=f"/c/{epoch}", global_step=10 * epoch, epoch=epoch, size=1, digest=f"{step}{epoch}"
                )
            )
        found.append(
            ev.EpochFinished(
                epoch=epoch, train_loss=loss + 0.1 if epoch else None, val_loss=loss, samples_per_second=2.0,
                global_step=10 * epoch,
            )
        )  # fmt: skip
        if epoch:
            found += _decision(epoch, "stop" if epoch == last else "continue", against)
    if finished and last:
        best = min(range(1, last + 1), key=lambda epoch: losses[epoch])
        found.append(
            ev.RunFinished(
                epochs=last, last_checkpoint="/c/l", best_checkpoint="/c/b", best_epoch=best, val_loss=losses[-1]
            )
        )
    return found


def _decision(epoch: int, choice: ev.Choice, against: bool) -> list[ev.AnyEvent]:
    said = verdict(epoch, "continue" if against else choice)
    return [
        ev.DecisionAwaited(epoch=epoch, verdict=said, max_epochs=9),
        ev.Decided(epoch=epoch, choice=choice, by="person", verdict=said, note=f"note {NASTY}" if against else ""),
    ]


def manifest(step: int) -> dict[str, object]:
    """Return the manifest of ``run_events(step, …)``."""
    batches = [{"name": "base", "path": "datasets/b", "rows": 100, "fingerprint": "ab" * 32, "schema": "grading"}]
    held = {"name": "hold-out", "path": "datasets/h", "rows": 20, "fingerprint": "cd" * 32, "schema": "grading"}
    return {
        "step": step, "seed": 42, "model": {"name": "m"}, "data": {"batches": batches, "holdout": held},
        "settings": {"training": {"learning_rate": 0.003, "seed": 42}},
        "origins": {"training.learning_rate": "config.toml"},
        "versions": {"python": "3.11", "torch": "2.13"}, "git": {"commit": "abc", "dirty": False},
        "hardware": {"cpus": 2, "ram": 2**33, "gpus": [], "torch_threads": 1},
    }  # fmt: skip


def make_workspace(root: Path, runs: Sequence[Sequence[ev.AnyEvent]]) -> Workspace:
    """Write ``runs`` as journals with manifests."""
    workspace = Workspace(root, Paths())
    for events in runs:
        started = events[0]
        assert isinstance(started, ev.RunStarted)
        journal = Journal(workspace.run_folder(started.run))
        for event in events:
            journal.emit(event)
        journal.close()
        workspace.run_manifest(started.run).write_text(json.dumps(manifest(started.step)))
    return workspace


def record(events: Sequence[ev.AnyEvent]) -> RunRecord:
    """Return the record of a journal that is on no disk."""
    started = events[0]
    assert isinstance(started, ev.RunStarted)
    return RunRecord(started.run, Path("/nowhere"), reduce(events))
