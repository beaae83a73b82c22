"""Names of batches: their order, and those of corrected answers. Must load nothing: the app opens with it."""

import re

# batches of what people corrected in a grader's answers: batch_corrections_01
_CORRECTIONS = re.compile(r"batch_corrections_([0-9]+)")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return the key that sorts names by their numbers: batch_100_2 before batch_100_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def corrections_number(name: str) -> int | None:
    """Return the number of a batch of corrected answers, None for any other batch."""
    match = _CORRECTIONS.fullmatch(name)
    return int(match[1]) if match else None


def corrections_name(number: int) -> str:
    """Return the name of the batch of corrected answers ``number``."""
    return f"batch_corrections_{number:02}"
