"""The scale of grades: read a stated grade, write one, and propose a scale for the grades that rows have.

A grade is a whole number from ``grading.minimum`` to ``grading.maximum``; with ``grading.grades`` it is ``minimum``
plus the position of the written grade. Grades are never guessed.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from opeddev_tui.config.settings import Grading

# whole or decimal, with a point or (Excel in most of Europe) a comma
_NUMBER = re.compile(r"([+-]?[0-9]{1,9})(?:[.,]([0-9]{0,20}))?", re.ASCII)
_OUT_OF = re.compile(r"([^/]+)/\s*([0-9]{1,9})", re.ASCII)
_LETTER = re.compile(r"[A-F][+-]?")
_MOST_PROPOSED = 21


class LabelName(str):
    """The name of a class (``ClassLabel`` of a data set) that remembers its number, counted from 0."""

    __slots__ = ("number",)
    number: int

    def __new__(cls, name: str, number: int) -> "LabelName":
        """Return ``name`` with its ``number``."""
        made = super().__new__(cls, name)
        made.number = number
        return made


def number_of(value: object) -> float | None:
    """Return the number that ``value`` is or states ("4", "4.0", "3,5"), None for no finite one; a huge one is inf."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        return float(f"{match[1]}.{match[2] or 0}") if match else None
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    return number if math.isfinite(number) else None


def grade_of(value: object, grading: Grading) -> int | None:
    """Return the grade that ``value`` states, None if it states none on the scale."""
    if grading.grades:
        return _written(value, grading)
    if isinstance(value, str) and (parts := _OUT_OF.fullmatch(value.strip())) and int(parts[2]) == grading.maximum:
        value = parts[1]
    number = number_of(value)
    if isinstance(value, LabelName) and number is None:
        # class names that state no grade, numbered from 0 as the scale is
        number = value.number if grading.minimum == 0 else None
    if number is None or not math.isfinite(number) or number != int(number):
        return None
    return int(number) if grading.minimum <= number <= grading.maximum else None


def _written(value: object, grading: Grading) -> int | None:
    text = value.strip() if isinstance(value, str) else None
    number = number_of(value)
    for place, written in enumerate(grading.grades):
        same_text = text is not None and text.casefold() == written.strip().casefold()
        if same_text or (number is not None and number == number_of(written)):
            return grading.minimum + place
    return None


def written(grade: int, grading: Grading) -> str:
    """Return ``grade`` as the model writes it."""
    if not grading.grades:
        return str(grade)
    place = grade - grading.minimum
    return grading.grades[place] if 0 <= place < len(grading.grades) else str(grade)


def range_words(grading: Grading) -> str:
    """Return the allowed grades in words."""
    if grading.grades:
        return f"one of {', '.join(grading.grades)}"
    return f"a whole number from {grading.minimum} to {grading.maximum}"


def setting_words(grading: Grading) -> str:
    """Return the settings that define the scale."""
    return "grading.grades" if grading.grades else "grading.minimum and grading.maximum"


def proposal(values: Iterable[object], grading: Grading) -> str:
    """Return the settings with which all ``values`` would be grades, empty if there are none."""
    every = list(values)
    if not every or all(grade_of(value, grading) is not None for value in every):
        return ""
    names = {value.number: str(value) for value in every if isinstance(value, LabelName)}
    if names and all(isinstance(value, LabelName) for value in every):
        return _as_grades([names[number] for number in sorted(names)])
    numbers = [number for value in every if (number := number_of(value)) is not None and math.isfinite(number)]
    if len(numbers) == len(every):
        return _for_numbers(numbers)
    texts = {value.strip() for value in every if isinstance(value, str)}
    if len(texts) > 1 and all(_LETTER.fullmatch(text) for text in texts):
        return _as_grades(sorted(texts, key=_letter_order, reverse=True))
    return ""


def _for_numbers(numbers: Sequence[float]) -> str:
    if all(number == int(number) for number in numbers):
        low, high = int(min(numbers)), int(max(numbers))
        # a scale is seldom used to its ends: round numbers are the likelier ones
        high = next((usual for usual in (5, 6, 10, 15, 20, 100) if low >= 0 and high <= usual), high)
        low = 0 if low == 0 else 1 if low > 0 else low
        return f"grading.minimum = {low} and grading.maximum = {high}" if low < high else ""
    halves = [step / 2 for step in range(int(min(numbers) * 2), int(max(numbers) * 2) + 1)]
    if set(numbers) <= set(halves) and 1 < len(halves) <= _MOST_PROPOSED:
        return _as_grades([f"{half:g}" for half in halves])
    return ""


def _letter_order(letter: str) -> tuple[str, int]:
    """Sort key from the best: A+, A, A-, B+ …"""
    return letter[0], {"+": 0, "-": 2}.get(letter[1:], 1)


def _as_grades(names: Sequence[str]) -> str:
    if not 1 < len(names) <= _MOST_PROPOSED:
        return ""
    return f"grading.grades = {json.dumps(names, ensure_ascii=False)} (the lowest first)"
