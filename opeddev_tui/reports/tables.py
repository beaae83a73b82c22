"""The tables of a report: facts from journals and manifests as cleaned texts. No markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui.analysis import learning_curve
from opeddev_tui.analysis.seed_figures import StepSpread
from opeddev_tui.config.settings import Settings
from opeddev_tui.format import interval, number, rounded, share, size
from opeddev_tui.intervals import wilson
from opeddev_tui.runs.events import GradesMeasured
from opeddev_tui.runs.grade_records import STEP_TEXT, by_metric
from opeddev_tui.runs.grade_words import read_by
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.manifest import RunManifest
from opeddev_tui.runs.ratings import scores
from opeddev_tui.runs.state import RunState, Status
from opeddev_tui.runs.verdict_words import reasons_of
from opeddev_tui.text import clean_line

_OPTIONAL = frozenset(
    {
        "texts with a grade",
        "text classifier: exact",
        "n-gram grader: exact",
        "n-gram grader: within one",
        "n-gram grader: kappa",
    }
)


class Table(Struct, frozen=True):
    """A table of plain texts; the first ``words`` columns hold words, the others numbers."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int = 1


def steps(chosen: Sequence[RunRecord], status: Mapping[str, Status]) -> Table:
    """Return one row per step: sizes and hold-out losses; ``status`` is the present one of each run."""
    rows = []
    for record in chosen:
        state, started = record.state, record.state.begun
        best, last = state.best_epoch() or 0, max(state.epochs)
        rows.append(
            (
                str(record.step),
                clean_line(started.batch),
                f"{status[record.id]}{', damaged' if state.damage else ''}",
                str(started.rows),
                str(last),
                number(state.epochs[0].val_loss if 0 in state.epochs else None, 4),
                number(state.epochs[best].val_loss, 4),
                _loss_interval(state, best),
                f"{best}{by_metric(started.metric)}",
                number(state.epochs[last].val_loss, 4),
            )
        )
    head = ("step", "batch", "state", "rows", "epochs", "before", "best", "95% interval", "at epoch", "last")
    return _with_holdout(Table(head, rows, words=3), [record.state for record in chosen])


def _with_holdout(table: Table, states: Sequence[RunState]) -> Table:
    """Return ``table`` with a column that says which hold-out each row is of, if there are several.

    ``states`` has the state of each row. Numbers of different hold-outs must not be compared.
    """
    if len({state.scored_on for state in states}) < 2:
        return table
    rows = [(*row, state.scored_on[0][:8]) for row, state in zip(table.rows, states, strict=True)]
    return Table((*table.head, "hold-out"), rows, table.words)


def _damage(state: RunState) -> str:
    return f"damaged: {state.damage}" if state.damage else ""


def _loss_interval(state: RunState, epoch: int) -> str:
    return interval(learning_curve.loss_interval(state.holdout[epoch]) if epoch in state.holdout else None)


def epochs(chosen: Sequence[RunRecord]) -> Table:
    """Return one row per epoch."""
    rows = [
        (
            str(record.step),
            str(epoch),
            number(row.train_loss, 4),
            number(row.val_loss, 4),
            _loss_interval(record.state, epoch),
            number(row.samples_per_second, 2),
            f"best{by_metric(record.state.begun.metric)}" if epoch == record.state.best_epoch() else "",
        )
        for record in chosen
        for epoch, row in sorted(record.state.epochs.items())
    ]
    states = [record.state for record in chosen for _ in record.state.epochs]
    table = Table(("step", "epoch", "train loss", "hold-out loss", "95% interval", "rows/s", ""), rows, words=0)
    return _with_holdout(table, states)


def decisions(chosen: Sequence[RunRecord]) -> Table:
    """Return one row per decision, with the verdict beside it."""
    rows = [
        (
            str(record.step),
            str(item.epoch),
            item.verdict.choice,
            f"{item.choice}{'' if item.choice == item.verdict.choice else ' (against the verdict)'}",
            *(clean_line(text) for text in (item.by, "; ".join(reasons_of(item.verdict, record.state)), item.note)),
        )
        for record in chosen
        for item in record.state.decisions
    ]
    return Table(("step", "epoch", "verdict", "decision", "by", "reasons", "note"), rows, words=7)


def human(chosen: Sequence[RunRecord]) -> Table:
    """Return one row per complete blind round, with its score."""
    rows = [
        (
            *(str(record.step), str(epoch), f"{score.value:.2f}"),
            *(str(count) for count in (score.wins, score.losses, score.ties, score.both_bad)),
        )
        for record in chosen
        for epoch, score in sorted(scores(record.state).items())
    ]
    return Table(("step", "epoch", "score", "now better", "before better", "tie", "both bad"), rows, words=0)


def grades(chosen: Sequence[RunRecord]) -> Table:
    """Return one row per epoch with grades of the step's model, with the cheap ways beside them.

    What no epoch has is left out: only some ways read texts, and older journals have another cheap way.
    """
    measured = [(record.step, epoch, item) for record in chosen for epoch, item in sorted(record.state.grades.items())]
    columns = [
        ("step", [str(step) for step, _, _ in measured]),
        # grades of version 0.1 were all read from texts, which needs no word
        ("epoch", [f"{epoch}{_by(item)}" for _, epoch, item in measured]),
        *_figure_columns([item for _, _, item in measured]),
    ]
    shown = [(name, cells) for name, cells in columns if name not in _OPTIONAL or set(cells) != {share(None)}]
    rows = list(zip(*(cells for _, cells in shown), strict=True))
    table = Table(tuple(name for name, _ in shown), rows, words=0)
    return _with_holdout(table, [record.state for record in chosen for _ in record.state.grades])


def _by(item: GradesMeasured) -> str:
    return "" if item.way == STEP_TEXT else f", by {read_by(item.way)}"


def _figure_columns(items: Sequence[GradesMeasured]) -> list[tuple[str, list[str]]]:
    """Return titles and cells of the figures of ``items``; what is not known is a dash."""
    n_grams = [{name: found.value for name, found in item.n_grams.items()} for item in items]
    return [
        ("texts with a grade", [share(item.texts_read) for item in items]),
        ("exactly right", [share(item.exact) for item in items]),
        ("95% interval", [" to ".join(map(share, _exact_interval(item))) for item in items]),
        ("commonest grade: exact", [share(item.majority_exact) for item in items]),
        ("n-gram grader: exact", [share(found.get("exact")) for found in n_grams]),
        ("text classifier: exact", [share(item.classifier_exact) for item in items]),
        ("within one", [share(item.within_one) for item in items]),
        ("middle grade: within one", [share(item.middle_within_one) for item in items]),
        ("n-gram grader: within one", [share(found.get("within_one")) for found in n_grams]),
        ("mean error", [_of_read(item, item.mean_absolute_error) for item in items]),
        ("weighted kappa", [_of_read(item, item.kappa) for item in items]),
        ("95% interval", [interval(item.kappa_interval, 2) for item in items]),
        ("n-gram grader: kappa", [rounded(found.get("kappa")) for found in n_grams]),
    ]


def _exact_interval(item: GradesMeasured) -> tuple[float, float]:
    return wilson(item.exact * len(item.reference), len(item.reference))


def _of_read(item: GradesMeasured, figure: float | None) -> str:
    return f"{rounded(figure)}{' (of the grades read)' if item.leaves_out and figure is not None else ''}"


def data(manifest: RunManifest) -> Table:
    """Return the batches and the hold-out with their fingerprints."""
    items = [*manifest.data.batches, *([manifest.data.holdout] if manifest.data.holdout is not None else [])]
    rows = [
        (
            *(clean_line(text) for text in (item.name, item.path, item.schema)),
            str(item.rows),
            clean_line(item.fingerprint)[:16],
        )
        for item in items
    ]
    return Table(("set", "path", "kind of rows", "rows", "fingerprint (SHA-256)"), rows, words=3)


def settings(chosen: Sequence[RunRecord], manifests: Mapping[str, RunManifest]) -> Table:
    """Return the settings that differ from the defaults: one row if all steps agree, else one row per step."""
    defaults = msgspec.to_builtins(Settings())
    by_key: dict[str, dict[int, tuple[Any, str]]] = {}
    for record in chosen:
        manifest = manifests[record.id]
        for name in (f"{section}.{key}" for section, table in manifest.settings.items() for key in table):
            section, _, key = name.partition(".")
            origin = manifest.origins.get(name, "default")
            by_key.setdefault(name, {})[record.step] = (manifest.settings[section][key], origin)
    rows = []
    for name, values in by_key.items():
        section, _, key = name.partition(".")
        default = defaults.get(section, {}).get(key)
        if all(value == default for value, _ in values.values()):
            continue
        alike = len({json.dumps(value, sort_keys=True) for value, _ in values.values()}) == 1
        for step, (value, origin) in list(values.items())[: 1 if alike else None]:
            steps = "all" if alike else str(step)
            shown = tuple(clean_line(json.dumps(item, ensure_ascii=False)) for item in (value, default))
            rows.append((name, *shown, steps, clean_line(origin)))
    return Table(("setting", "value", "default", "steps", "from"), rows, words=5)


def environment(record: RunRecord, manifest: RunManifest) -> Table:
    """Return the model, machine and versions of the run."""
    model = record.state.model
    rows = [("model", manifest.model.name)]
    if model is not None:
        rows += [("device", model.device), ("precision", f"{model.precision} ({model.reason})")]
        rows += [("parameters", f"{model.parameters:,} ({model.trainable:,} trained)")]
    rows += list(manifest.versions.items())
    rows += [(f"git {name}", str(value)) for name, value in manifest.git.items()]
    for name, value in manifest.hardware.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if name == "ram" and isinstance(value, int):
            shown = size(value)
        rows.append((name.replace("_", " "), shown or "none"))
    rows.append(("seed", "" if manifest.seed is None else str(manifest.seed)))
    return Table(("what", "value"), [(name, clean_line(value)) for name, value in rows], words=2)


def seeds(spreads: Sequence[StepSpread]) -> Table:
    """Return one row per seed of each step that was trained with several, and one with the spread."""
    rows: list[tuple[str, ...]] = []
    for spread in spreads:
        for item in spread.seeds:
            state = "the step's run" if item.chosen else item.status
            figures = (number(item.loss, 4), number(item.kappa, 2), number(item.distance, 3))
            rows.append((str(spread.step), str(item.seed), clean_line(state), *figures))
        over = [
            found.words(digits) if found is not None else ""
            for found, digits in ((spread.loss, 4), (spread.kappa, 2), (spread.distance, 3))
        ]
        rows.append((str(spread.step), "all", "mean (least to greatest, sd)", *over))
    return Table(("step", "seed", "state", "hold-out loss", "kappa", "distance"), rows, words=3)


def others(records: Sequence[RunRecord], chosen: Sequence[RunRecord], status: Mapping[str, Status]) -> Table:
    """Return the runs that are not in the other tables; ``status`` is the present one of each run."""
    shown = {record.id for record in chosen if not record.state.damage}
    rows = [
        (record.id, str(record.step), status[record.id], clean_line(_damage(record.state) or _why(record.state)))
        for record in records
        if record.id not in shown
    ]
    return Table(("run", "step", "state", "why"), rows, words=4)


def _why(state: RunState) -> str:
    if state.failure is not None:
        return state.failure.message
    if state.repeats:
        return f"repeats {state.repeats}"
    if state.group and not state.counts:
        return f"seed {state.begun.seed}, not chosen"
    return state.interrupted.reason if state.interrupted is not None else ""
