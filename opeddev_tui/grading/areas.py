"""Areas of the rubric per row: given with the row (``criteria``), or read from a feedback that names what is wrong.

A feedback that names no area tells that none failed only where the grade is the best of the scale; elsewhere the row's
areas are unknown. Nothing here knows features.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.grading_settings import DEFAULT_AREA_PATTERN
from opeddev_tui.errors import SettingsProblem

Floats = NDArray[np.float64]
# an area that fewer rows name is taken for a chance phrase
_FEWEST = 3
_MOST_AREAS = 40
# what may stand between the colon and the sentence: the end of bold print, blanks
_AFTER_NAME = re.compile(r"[*_]*\s*")
# what may stand before a name: blanks, marks
_MARKS = re.compile(r"[^\w.!?;,:)]*$")


class AreaRow(Struct, frozen=True):
    """What a row tells of its areas; ``criteria`` as in ``Example.criteria``: passed or not, or a grade per area."""

    kind: str
    prompt: str
    feedback: str
    best: bool
    criteria: Mapping[str, int | bool] = {}


class Style(Struct, frozen=True):
    """How feedbacks name areas: what stands before the second and later, after a name, and where nothing failed.

    ``opening`` stands before the first name, such as the mark of a list; ``end`` ends a sentence before the next name.
    """

    between: str = " "
    after: str = ": "
    clean: str = ""
    opening: str = ""
    end: str = "."


class Areas(Struct, frozen=True):
    """The areas of n rows. ``failed`` [n, areas] is between 0 (passed) and 1, NaN where unknown or not asked for.

    ``kinds`` per area: the kinds of rows it is asked of (empty: all); ``in_prompt``: asked of the rows whose prompt
    names it. ``read`` [n]: the row is known. ``highest`` per area: its best grade, 0 where it is passed or failed.
    """

    names: tuple[str, ...]
    kinds: tuple[frozenset[str], ...]
    in_prompt: tuple[bool, ...]
    highest: tuple[int, ...]
    failed: Floats
    read: NDArray[np.bool_]
    style: Style


def named_areas(feedback: str, pattern: str = DEFAULT_AREA_PATTERN) -> list[str]:
    """Return the areas that ``feedback`` names, each once, in its order."""
    return list(dict.fromkeys(match.group(1).strip() for match in compiled(pattern).finditer(feedback)))


def compiled(pattern: str) -> re.Pattern[str]:
    """Return ``pattern`` compiled; raises ``SettingsProblem`` where it is none, or has no group for the area."""
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise SettingsProblem(f"is not a pattern: {error}.", where="grading.area_pattern") from None
    if not found.groups:
        cure = "Put the area's name in parentheses: ([A-Z][a-z ]+):"
        raise SettingsProblem("has no group for the area's name.", where="grading.area_pattern", cure=cure)
    return found


def areas_of(rows: Sequence[AreaRow], pattern: str = DEFAULT_AREA_PATTERN) -> Areas:
    """Return the areas of ``rows``; none where too few rows name any."""
    named = [list(row.criteria) if row.criteria else named_areas(row.feedback, pattern) for row in rows]
    counts = Counter(name for row in named for name in row)
    given = {name for row in rows for name in row.criteria}
    known = [bool(row.criteria) or bool(names) or row.best for row, names in zip(rows, named, strict=True)]
    names = [
        name
        for name, count in counts.most_common(_MOST_AREAS)
        # named by all that can be read, an area is a heading of every feedback
        if count >= _FEWEST and (name in given or count < sum(known))
    ]
    named = [[name for name in row if name in names] for row in named]
    kinds, in_prompt = _asked_of(rows, named, names)
    ordered = _by_place(names, rows)
    chosen = [names.index(name) for name in ordered]
    highest = tuple(_highest(rows, name) for name in ordered)
    found = Areas(
        tuple(ordered),
        tuple(kinds[place] for place in chosen),
        tuple(in_prompt[place] for place in chosen),
        highest,
        np.empty((len(rows), len(ordered))),
        np.array([bool(row.criteria or mine or row.best) for row, mine in zip(rows, named, strict=True)], bool),
        _style(rows, named, pattern),
    )
    asked = asked_areas(found, [row.kind for row in rows], [row.prompt for row in rows])
    for place, row in enumerate(rows):
        found.failed[place] = _failed(row, named[place], found, asked[place], known=bool(found.read[place]))
    return found


def asked_areas(areas: Areas, kinds: Sequence[str], prompts: Sequence[str]) -> NDArray[np.bool_]:
    """Return which areas are asked of each row, [n, areas]."""
    asked = np.zeros((len(kinds), len(areas.names)), bool)
    for column, name in enumerate(areas.names):
        for row, (kind, prompt) in enumerate(zip(kinds, prompts, strict=True)):
            by_kind = not areas.kinds[column] or kind in areas.kinds[column]
            asked[row, column] = name in prompt if areas.in_prompt[column] else by_kind
    return asked


def columns_of(areas: Areas, asked: NDArray[np.bool_]) -> list[int]:
    """Return a column per area so that areas asked of the same row differ: areas of different kinds share heads.

    A head then learns from all rows, and its part per kind tells the areas apart.
    """
    together = (asked.T.astype(int) @ asked.astype(int)) > 0
    columns: list[int] = []
    for place in range(len(areas.names)):
        taken = {columns[other] for other in range(place) if together[place, other]}
        columns.append(next(column for column in range(place + 1) if column not in taken))
    return columns


def _asked_of(
    rows: Sequence[AreaRow], named: Sequence[Sequence[str]], names: Sequence[str]
) -> tuple[list[frozenset[str]], list[bool]]:
    kinds, in_prompt = [], []
    every = {row.kind for row in rows}
    for name in names:
        places = [place for place, mine in enumerate(named) if name in mine]
        found = {rows[place].kind for place in places}
        in_prompt.append(all(name in rows[place].prompt for place in places))
        kinds.append(frozenset() if found == every else frozenset(found))
    return kinds, in_prompt


def _by_place(names: Sequence[str], rows: Sequence[AreaRow]) -> list[str]:
    """Return ``names`` in the order in which prompts name them; rubrics of different kinds keep a similar order."""
    places: dict[str, list[int]] = {name: [] for name in names}
    for row in rows:
        standing = sorted((row.prompt.find(name), name) for name in names if name in row.prompt)
        for place, (_, name) in enumerate(standing):
            places[name].append(place)
    return sorted(names, key=lambda name: (float(np.mean(places[name])) if places[name] else 1e9, name))


def _highest(rows: Sequence[AreaRow], name: str) -> int:
    values = [row.criteria[name] for row in rows if name in row.criteria]
    return max((int(value) for value in values if not isinstance(value, bool)), default=0)


def _failed(row: AreaRow, named: Sequence[str], areas: Areas, asked: NDArray[np.bool_], *, known: bool) -> list[float]:
    result = []
    for column, name in enumerate(areas.names):
        if row.criteria:
            value = row.criteria.get(name)
            top = areas.highest[column]
            result.append(np.nan if value is None else float(not value) if not top else 1 - max(0, int(value)) / top)
        elif name in named:
            result.append(1.0)
        else:
            result.append(0.0 if known and asked[column] else np.nan)
    return result


def _style(rows: Sequence[AreaRow], named: Sequence[Sequence[str]], pattern: str) -> Style:
    between, after, clean, opening, ends = (Counter[str]() for _ in range(5))
    for row, mine in zip(rows, named, strict=True):
        if not mine:
            clean.update([row.feedback.strip()] if row.best and row.feedback.strip() else [])
            continue
        for match in compiled(pattern).finditer(row.feedback):
            if match.group(1).strip() not in mine:
                continue
            before, found = _before(row.feedback, match)
            (between if before else opening).update([found])
            ends.update([before[-1]] if before and not before[-1].isalnum() else [])
            marks = _AFTER_NAME.match(row.feedback, match.end())
            after.update([row.feedback[match.end(1) : marks.end() if marks else match.end()]])
    often = clean.most_common(1)
    return Style(
        between.most_common(1)[0][0] if between else " ",
        after.most_common(1)[0][0] if after else ": ",
        often[0][0] if often and often[0][1] * 2 > sum(clean.values()) else "",
        opening.most_common(1)[0][0].lstrip() if opening else "",
        ends.most_common(1)[0][0] if ends else ".",
    )


def _before(feedback: str, match: re.Match[str]) -> tuple[str, str]:
    """Return the text before an area, and the blanks and marks (of a list, of bold print) between it and the name."""
    # a pattern of one's own may leave the marks before the name out of its match
    marks = _MARKS.search(feedback, 0, match.start())
    before = feedback[: marks.start() if marks else match.start()]
    return before, feedback[len(before) : match.start(1)]
