"""Plan a feedback whose structure the heads decide: grade and failed areas are forced, the model continues each.

A plan is a list of segments; whoever generates follows them with its own model. Texts so written name exactly the areas
that the heads found.
"""

import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from opeddev_tui.config.grading_settings import DEFAULT_AREA_PATTERN
from opeddev_tui.grading.areas import Style, compiled

Write = Callable[[list[int], list[str], list["Segment"]], list[str]]
# what ends a sentence for the patterns that find areas
_SENTENCE_ENDS = (".", "!", "?", ";", "\n")


class Segment(Struct, frozen=True):
    """``forced`` text; then the model writes where ``writes``, until a text of ``stops`` or the end of its turn.

    ``end`` ends the sentence before it where the model did not.
    """

    forced: str
    writes: bool
    stops: tuple[str, ...] = ()
    end: str = "."


def feedback_plan(
    grade: str, named: Sequence[str], names: Sequence[str], stem: tuple[str, str], style: Style
) -> list[Segment]:
    """Return the segments of a completion that states ``grade`` and the areas ``named``.

    ``names`` are all areas: where the model begins another one by itself, its text is cut. ``stem`` is the text before
    and after the grade (``grade_tokens.grade_stem``).
    """
    opening = f"{stem[0]}{grade}{stem[1]}"
    stops = tuple(f"{name}{style.after.rstrip()}" for name in names)
    if not named:
        return [Segment(opening + style.clean, not style.clean, stops)]
    begun = [_numbered(style.between if place else style.opening, place + 1) for place in range(len(named))]
    first, *others = [f"{before}{name}{style.after}" for before, name in zip(begun, named, strict=True)]
    return [Segment(opening + first, True, stops), *(Segment(text, True, stops, style.end) for text in others)]


def _numbered(before: str, number: int) -> str:
    """Return the text ``before`` an area's name with its ``number``, where it is that of a numbered list."""
    return re.sub(r"\d+", str(number), before)


def follow(plans: Sequence[Sequence[Segment]], write: Write, pattern: str = DEFAULT_AREA_PATTERN) -> list[str]:
    """Return the completions of ``plans``, one segment of all rows at a time.

    ``write`` gets rows, their completions so far and the segments to write, and returns what the model adds to each.
    Areas that it names by itself, as ``pattern`` (``grading.area_pattern``) finds them, are cut.
    """
    texts = [""] * len(plans)
    for turn in range(max((len(plan) for plan in plans), default=0)):
        rows = [row for row, plan in enumerate(plans) if turn < len(plan)]
        for row in rows:
            before = _closed(texts[row], plans[row][turn]) if turn else ""
            texts[row] = before + plans[row][turn].forced
        writing = [row for row in rows if plans[row][turn].writes]
        segments = [plans[row][turn] for row in writing]
        added = write(writing, [texts[row] for row in writing], segments) if writing else []
        for row, text in zip(writing, added, strict=True):
            texts[row] += until(text, plans[row][turn].stops, pattern)
    return [text.rstrip() for text in texts]


def until(text: str, stops: Sequence[str], pattern: str = DEFAULT_AREA_PATTERN) -> str:
    """Return ``text`` up to the first of ``stops`` in it, or the first area there that they name, without blanks."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    # the forced name stands before the text: it is no line's beginning
    shifted = f"x {text}"
    for match in compiled(pattern).finditer(shifted):
        if any(stop.startswith(match.group(1).strip()) for stop in stops):
            places.append(max(0, match.start() - 2))
            break
    return text[: min(places)].rstrip() if places else text


def sentences(text: str) -> str:
    """Return the whole sentences of ``text``, which was cut somewhere; all of it where there is none."""
    place = max(text.rfind(f"{end} ") for end in _SENTENCE_ENDS[:-1])
    place = max(place, text.rfind("\n") - 1)
    return text if text.rstrip().endswith(_SENTENCE_ENDS) or place < 1 else text[: place + 1]


def _closed(text: str, following: Segment) -> str:
    """Return ``text`` so that a name after it begins a sentence or a line, as the patterns for areas want."""
    text = text.rstrip()
    starts_line = following.forced.lstrip(" ").startswith("\n")
    ends = following.end if following.end in _SENTENCE_ENDS else "."
    return text if starts_line or text.endswith(_SENTENCE_ENDS) else text + ends
