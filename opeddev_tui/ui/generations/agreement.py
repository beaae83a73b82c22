"""Owns the figures of the grades screen: measures beside their baselines, the confusion matrix, the flips. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content

from opeddev_tui.events import GradesMeasured
from opeddev_tui.format import number, share, signed
from opeddev_tui.text import clean_line
from opeddev_tui.ui.columns import Column, table

GROUPS = ("fixed", "broken", "still right", "still wrong")
UNREAD = "?"


@dataclass(frozen=True)
class Flip:
    """One hold-out row: its place, name, reference, and the grade read before and now."""

    at: int
    id: str
    reference: int
    before: int | None
    now: int | None

    @property
    def group(self) -> str:
        """Which of the four groups it belongs to."""
        right = self.now == self.reference
        if self.before == self.reference:
            return "still right" if right else "broken"
        return "fixed" if right else "still wrong"


def flips(before: GradesMeasured, now: GradesMeasured) -> list[Flip]:
    """Return every row of the hold-out, in order; empty where the two were not measured on the same rows."""
    if before.reference != now.reference:
        return []
    names = now.ids or before.ids
    return [
        Flip(at, names[at] if at < len(names) and names[at] else f"row {at + 1}", wanted, old, new)
        for at, (wanted, old, new) in enumerate(zip(now.reference, before.predicted, now.predicted, strict=True))
    ]


def matrix(measured: GradesMeasured, grades: Sequence[int]) -> Content:
    """Return the confusion matrix: a line for each reference grade, a column for each grade that was read."""
    counts = Counter(zip(measured.reference, measured.predicted, strict=True))
    columns: list[int | None] = [*grades, None]
    head = "".join(f"{UNREAD if grade is None else grade:>4}" for grade in columns)
    lines = [Content.styled(f"{'ref':<4}{head}", "$muted")]
    for wanted in grades:
        parts = [Content.styled(f"{wanted:>3} ", "$muted")]
        for grade in columns:
            parts.append(_cell(counts[wanted, grade], right=grade == wanted))
        lines.append(Content("").join(parts))
    lines += [Content(""), Content.styled("[n] agrees · ? none read", "$muted")]
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
    """Return every measure before and now, and what a simple rule reaches."""
    off_middle = [abs(middle - wanted) for wanted in now.reference]
    constant = number(sum(off_middle) / len(off_middle), 2) if off_middle else "–"
    rows: list[tuple[str, str, Callable[[float | None], str], str]] = [
        ("parsed", "parsed", share, ""),
        ("exact", "exact", share, f"majority {share(now.majority_exact)}"),
        ("within one", "within_one", share, f"always {middle}: {share(now.middle_within_one)}"),
        ("mean error", "mean_absolute_error", _two, f"always {middle}: {constant}"),
        ("kappa (QWK)", "kappa", _two, "constant: 0.00"),
    ]
    return [
        Measure(
            title,
            write(getattr(before, name) if before is not None else None),
            write(getattr(now, name)),
            _change(getattr(before, name) if before is not None else None, getattr(now, name), write is share),
            baseline,
        )
        for title, name, write, baseline in rows
    ]


def _two(value: float | None) -> str:
    return number(value, 2)


def _change(before: float | None, now: float | None, share: bool) -> str:
    if before is None or now is None:
        return ""
    return f"{100 * (now - before):+.0f}" if share else signed(now - before, 2)


def measures_text(before: GradesMeasured | None, now: GradesMeasured, middle: int, width: int) -> Content:
    """Return the table of measures with the interval of kappa in words, ``width`` cells wide."""
    columns: tuple[Column[Measure], ...] = (
        Column("", lambda row: row.name, right=False),
        Column("before", lambda row: row.before),
        Column("now", lambda row: row.now, style="bold"),
        Column("change", lambda row: row.change, rank=2),
        Column("beside it", lambda row: row.baseline, rank=1, right=False, style="$muted"),
    )
    rows = measures(before, now, middle)
    parts = [table(rows, columns, width)]
    told: list[str] = []
    if now.kappa_interval is not None:
        told.append(f"kappa between {now.kappa_interval[0]:.2f} and {now.kappa_interval[1]:.2f}")
    if now.classifier_exact is not None:
        told.append(f"a text classifier: exact {share(now.classifier_exact)}")
    told.append(f"{len(now.reference)} rows in {now.seconds:.1f} s")
    parts += [Content(""), Content.styled(clean_line(" · ".join(told)), "$muted")]
    return Content("\n").join(parts)
