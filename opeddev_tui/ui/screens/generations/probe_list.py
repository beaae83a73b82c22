"""All probe prompts as lines of a table: asked, before and now, the reference, and how grades changed. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from rich.cells import cell_len

from opeddev_tui.runs.events import Sample
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.generations.snapshots import Point
from opeddev_tui.ui.tasks.lists import Listed
from opeddev_tui.ui.tasks.lists import Value as Written
from opeddev_tui.ui.widgets.grid import Cell
from opeddev_tui.ui.widgets.tables import cut
from opeddev_tui.ui.widgets.tall_rows import broken, most_lines

TITLES = ("row", "change", "grades", "flips", "now", "before", "reference", "prompt")
# the texts, which may have several lines each, and how many columns stand before them
TEXTS = ("now", "before", "reference", "prompt")
_BEFORE_TEXTS = len(TITLES) - len(TEXTS)
# cells of the columns for change and flips, and the least that a text gets
_FIXED, _LEAST = 14, 10
# cells that a name takes at most: a share of the screen, so that long ids are whole where there is room
_NAME, _SHARE = 12, 5
# cells of the screen from which on the prompt, which says the least about a change, has a column of its own
_WITH_PROMPT = 90


class Probe(Struct, frozen=True):
    """A probe prompt: its number, what was generated at the two points, and its grades at every point of the run."""

    number: int
    asked: Sample
    before: Sample | None
    now: Sample | None
    grades: tuple[int | None, ...] = ()

    @property
    def name(self) -> str:
        """What to call it."""
        return clean_line(self.asked.id) or f"prompt {self.number + 1}"

    @property
    def flips(self) -> int:
        """How often its grade changed from one point to the next."""
        known = [grade for grade in self.grades if grade is not None]
        return sum(one != other for one, other in itertools.pairwise(known))

    @property
    def change(self) -> str:
        """What became of its grade: fixed, broken, better, worse, right, wrong; empty without grades."""
        right, now = self.asked.reference_grade, self.now.grade if self.now is not None else None
        before = self.before.grade if self.before is not None else None
        if right is None or now is None:
            return ""
        if before is None or before == now:
            return "right" if now == right else "wrong"
        if now == right:
            return "fixed"
        if before == right:
            return "broken"
        nearer = abs(now - right) - abs(before - right)
        return "better" if nearer < 0 else "worse" if nearer > 0 else "other"

    @property
    def off(self) -> int:
        """How far the grade now is from the reference, -1 where that is not known."""
        right, now = self.asked.reference_grade, self.now.grade if self.now is not None else None
        return abs(now - right) if right is not None and now is not None else -1

    @property
    def searched(self) -> str:
        """All its texts."""
        texts = [self.asked.id, self.asked.kind, self.asked.prompt, self.asked.reference, self.change]
        return "\n".join([*texts, *(side.text for side in (self.before, self.now) if side is not None)]).casefold()


_RANKS = ("broken", "worse", "wrong", "fixed", "better", "other", "right", "")
# name: what comes first
ORDERS: Mapping[str, Callable[[Probe], tuple[object, ...]]] = {
    "as generated": lambda probe: (probe.number,),
    "changed grades first": lambda probe: (_RANKS.index(probe.change), probe.number),
    "most flips first": lambda probe: (-probe.flips, probe.number),
    "farthest from right first": lambda probe: (-probe.off, probe.number),
    "by id": lambda probe: (probe.asked.kind, probe.name, probe.number),
}


def probes(points: Sequence[Point], before: Point, now: Point) -> list[Probe]:
    """Return the probe prompts of the point ``now``, in their order there."""
    of_run = [point for point in points if point.key[0] == now.key[0] and not point.key[3]]
    return [
        Probe(number, asked, before.answer(asked), asked, tuple(_grade(point, asked) for point in of_run))
        for number, asked in enumerate(now.samples)
    ]


def _grade(point: Point, asked: Sample) -> int | None:
    answer = point.answer(asked)
    return answer.grade if answer is not None else None


def chosen(every: Sequence[Probe], order: str, text: str) -> list[Probe]:
    """Return the prompts that contain all words of ``text``, in an order."""
    words = text.casefold().split()
    found = [probe for probe in every if all(word in probe.searched for word in words)] if words else list(every)
    return sorted(found, key=ORDERS[order])


def titles(width: int) -> tuple[str, ...]:
    """Return the columns that a screen of ``width`` cells has room for."""
    return TITLES if width >= _WITH_PROMPT else TITLES[:-1]


def lines(
    listed: Sequence[Probe], width: int, columns: int = len(TITLES), height: int = 0
) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return (key, the first ``columns`` cells) per prompt; the texts share what is left of ``width``.

    A text has as many lines as all rows together have room for in ``height`` lines, and no more than it needs.
    """
    widest = max(_NAME, width // _SHARE)
    name = max((cell_len(cut(item.name, widest)) for item in listed), default=0)
    grades = max((len(_grades(item)) for item in listed), default=0)
    fixed = _FIXED + 2 * columns + name + max(6, grades)
    room = max(_LEAST, (width - fixed) // max(1, columns - _BEFORE_TEXTS))
    most = 1
    # where not every row has a second line none is laid out for nothing
    if len(listed) < height:
        needed = [_needed(probe, room, height)[: columns - _BEFORE_TEXTS] for probe in listed]
        most = most_lines([max(lengths, default=1) for lengths in needed], height)
    return [(str(probe.number), (*_short(probe, widest), *_texts(probe, room, most))[:columns]) for probe in listed]


def _short(probe: Probe, name: int) -> tuple[Cell, ...]:
    """Return the cells before the texts."""
    style = {"fixed": "bold", "broken": "bold", "worse": "bold"}.get(probe.change, "")
    mark = {"fixed": "✓ ", "better": "✓ ", "broken": "✗ ", "worse": "✗ "}.get(probe.change, "  ")
    return cut(probe.name, name), (mark + probe.change, style), _grades(probe), str(probe.flips or "·")


def _in_full(probe: Probe) -> tuple[str, ...]:
    """Return the texts as they are: now, before, the reference and the prompt."""
    now, before = ("–" if side is None else side.text for side in (probe.now, probe.before))
    return now, before, probe.asked.reference, probe.asked.prompt


def _needed(probe: Probe, room: int, most: int) -> tuple[int, ...]:
    return tuple(max(1, len(broken(text, room, most))) for text in _in_full(probe))


def _texts(probe: Probe, room: int, most: int) -> tuple[Cell, ...]:
    if most == 1:
        return tuple(cut(clean_line(text), room) for text in _in_full(probe))
    return tuple("\n".join(broken(text, room, most)) for text in _in_full(probe))


def _grades(probe: Probe) -> str:
    """Return the grades before and now, and the right one."""
    before, now = (_written(side) for side in (probe.before, probe.now))
    if probe.asked.reference_grade is None:
        return f"{before}→{now}" if (before, now) != ("?", "?") else "none"
    return f"{before}→{now} of {probe.asked.reference_grade}"


def _written(side: Sample | None) -> str:
    return "?" if side is None or side.grade is None else str(side.grade)


_WRITTEN = (
    *("id", "kind", "change", "grade before", "grade now", "right grade", "flips"),
    *("prompt", "before", "now", "reference"),
)


def written(listed: Sequence[Probe]) -> Listed:
    """Return prompts as they are written to a file."""

    def values(probe: Probe) -> tuple[Written, ...]:
        asked, before, now = probe.asked, probe.before, probe.now
        grades = (before.grade if before is not None else None, now.grade if now is not None else None)
        texts = (before.text if before is not None else None, now.text if now is not None else None)
        right = asked.reference_grade
        return asked.id, asked.kind, probe.change, *grades, right, probe.flips, asked.prompt, *texts, asked.reference

    return Listed(_WRITTEN, [values(probe) for probe in listed])
