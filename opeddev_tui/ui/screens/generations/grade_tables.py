"""Figures of the grades screen: measures beside their baselines, the confusion matrix, the changed rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from textual.content import Content

from opeddev_tui.format import interval, number, share, signed
from opeddev_tui.runs.cheap_ways import fitted_ways, to_beat
from opeddev_tui.runs.events import GradesMeasured
from opeddev_tui.ui.widgets.tables import Column, table

GROUPS = ("fixed", "broken", "still right", "still wrong")
UNREAD = "?"


@dataclass(frozen=True)
class Flip:
    """One hold-out row: its index, id, reference grade, and the grades read before and now (None: none read)."""

    at: int
    id: str
    reference: int
    before: int | None
    now: int | None

    @property
    def group(self) -> str:
        """One of ``GROUPS``."""
        right = self.now == self.reference
        if self.before == self.reference:
            return "still right" if right else "broken"
        return "fixed" if right else "still wrong"


def flips(before: GradesMeasured, now: GradesMeasured) -> list[Flip]:
    """Return every row of the hold-out, in order; nothing where the two were not measured on the same rows."""
    if before.reference != now.reference:
        return []
    names = now.ids or before.ids
    return [
        Flip(at, names[at] if at < len(names) and names[at] else f"row {at + 1}", reference, old, new)
        for at, (reference, old, new) in enumerate(zip(now.reference, before.predicted, now.predicted, strict=True))
    ]


def matrix(measured: GradesMeasured, grades: Sequence[int]) -> Content:
    """Return the confusion matrix: one line per reference grade, one column per grade that was read.

    Where grades are read from texts, a column more counts the texts without one.
    """
    counts = Counter(zip(measured.reference, measured.predicted, strict=True))
    columns: list[int | None] = [*grades, None] if measured.texts_read is not None else [*grades]
    head = "".join(f"{UNREAD if grade is None else grade:>4}" for grade in columns)
    lines = [Content.styled(f"{'ref':<4}{head}", "$muted")]
    for reference in grades:
        cells = [_cell(counts[reference, grade], right=grade == reference) for grade in columns]
        lines.append(Content("").join([Content.styled(f"{reference:>3} ", "$muted"), *cells]))
    unread = f" · {UNREAD} none in the text" if None in columns else ""
    lines += [Content(""), Content.styled(f"[n] agrees{unread}", "$muted")]
    return Content("\n").join(lines)


def _cell(count: int, *, right: bool) -> Content:
    if right:
        return Content.styled(f"{f'[{count}]':>4}", "bold $success")
    return Content.styled(f"{count or '·':>4}", "" if count else "$muted")


@dataclass(frozen=True)
class Measure:
    """One line of the table of measures."""

    name: str
    before: str
    now: str
    change: str
    baseline: str


def measures(before: GradesMeasured | None, now: GradesMeasured, middle: int) -> list[Measure]:
    """Return every measure before and now, and the best that a cheap way reaches; ``middle`` is the middle grade."""
    off_middle = [abs(middle - reference) for reference in now.reference]
    two_decimals = partial(number, digits=2)
    constant = sum(off_middle) / len(off_middle) if off_middle else None
    rows: list[tuple[str, str, Callable[[float | None], str], str]] = [
        *([("parsed", "texts_read", share, "")] if now.texts_read is not None else []),
        ("exact", "exact", share, _best(now, "exact", share)),
        ("within one", "within_one", share, _best(now, "within_one", share)),
        ("mean error", "mean_absolute_error", two_decimals, _least_error(now, constant)),
        ("kappa (QWK)", "kappa", two_decimals, _best(now, "kappa", two_decimals)),
    ]
    result: list[Measure] = []
    left_out = before is not None and before.leaves_out != now.leaves_out
    for title, name, write, baseline in rows:
        of_other_rows = left_out and name in ("mean_absolute_error", "kappa")
        old, new = None if of_other_rows else getattr(before, name, None), getattr(now, name)
        result.append(Measure(title, write(old), write(new), _change(old, new, write is share), baseline))
    return result


def _best(measured: GradesMeasured, figure: str, write: Callable[[float | None], str]) -> str:
    found = to_beat(measured, figure)
    return f"{found.way.short} {write(found.value)}"


def _least_error(measured: GradesMeasured, middle: float | None) -> str:
    """Return the least mean error of a cheap way; ``middle`` is that of the middle grade."""
    fitted = measured.n_grams["mae"].value if "mae" in measured.n_grams else None
    if fitted is not None and (middle is None or fitted < middle):
        return f"n-grams {number(fitted, 2)}"
    return f"middle {number(middle, 2)}"


def _change(before: float | None, now: float | None, share: bool) -> str:
    if before is None or now is None:
        return ""
    return f"{100 * (now - before):+.0f}" if share else signed(now - before, 2)


def measures_text(before: GradesMeasured | None, now: GradesMeasured, middle: int, width: int) -> Content:
    """Return the table of measures in ``width`` cells, and below it the interval of kappa and the time it took."""
    then: tuple[Column[Measure], ...] = (
        Column("before", lambda row: row.before),
        Column("change", lambda row: row.change, rank=2),
    )
    columns: tuple[Column[Measure], ...] = (
        Column("", lambda row: row.name, right=False),
        *then[:1] * (before is not None),
        Column("now", lambda row: row.now, style="bold"),
        *then[1:] * (before is not None),
        Column("to beat", lambda row: row.baseline, rank=1, right=False, style="$muted"),
    )
    notes: list[str] = []
    if now.kappa_interval is not None:
        notes.append(f"kappa from {interval(now.kappa_interval, 2)}")
    notes += [f"{way.words}: exact {share(way.figures['exact'].value)}" for way in fitted_ways(now)]
    if now.texts_read is not None and now.texts_read < 1:
        notes.append("no grade: left out of error and kappa" if now.leaves_out else "no grade counts as the farthest")
    notes.append(f"{len(now.reference)} rows in {now.seconds:.1f} s")
    lines = [table(measures(before, now, middle), columns, width), Content("")]
    return Content("\n").join([*lines, Content.styled(" · ".join(notes), "$muted")])
