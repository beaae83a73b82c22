"""Plan a feedback whose structure the heads decide: grade and failed areas are forced, the model continues each.

A plan is a list of segments; whoever generates follows them with its own model. Texts so written name exactly the areas
that the heads found.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from opeddev_tui.grading.areas import Style

Write = Callable[[list[str], list[tuple[str, ...]]], list[str]]


class Segment(Struct, frozen=True):
    """``forced`` text; then the model writes where ``writes``, until a text of ``stops`` or the end of its turn."""

    forced: str
    writes: bool
    stops: tuple[str, ...] = ()


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
    first, *others = [f"{name}{style.after}" for name in named]
    return [Segment(opening + first, True, stops), *(Segment(style.between + text, True, stops) for text in others)]


def follow(plans: Sequence[Sequence[Segment]], write: Write) -> list[str]:
    """Return the completions of ``plans``, one segment of all rows at a time.

    ``write`` gets completions so far and the texts to stop at, and returns what the model adds to each.
    """
    texts = [""] * len(plans)
    for turn in range(max((len(plan) for plan in plans), default=0)):
        rows = [row for row, plan in enumerate(plans) if turn < len(plan)]
        for row in rows:
            texts[row] = texts[row].rstrip() + plans[row][turn].forced if turn else plans[row][turn].forced
        writing = [row for row in rows if plans[row][turn].writes]
        added = write([texts[row] for row in writing], [plans[row][turn].stops for row in writing]) if writing else []
        for row, text in zip(writing, added, strict=True):
            texts[row] += until(text, plans[row][turn].stops)
    return [text.rstrip() for text in texts]


def until(text: str, stops: Sequence[str]) -> str:
    """Return ``text`` up to the first of ``stops`` in it, without the blanks before that."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)].rstrip() if places else text
