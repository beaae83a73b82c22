"""Format numbers, sizes, times and small bars for a person: on screen, in the terminal and in reports.

A value that is missing or not finite is a dash everywhere.
"""

import itertools
import math
import time
from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"


def _formatted(value: float | None, spec: str) -> str:
    return format(value, spec) if value is not None and math.isfinite(value) else "–"


def number(value: float | None, digits: int = 3) -> str:
    """Return a metric with ``digits`` decimals."""
    return _formatted(value, f".{digits}f")


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign and ``digits`` decimals."""
    return _formatted(value, f"+.{digits}f")


def share(value: float | None, digits: int = 0) -> str:
    """Return a share (0 to 1) in percent with ``digits`` decimals: 76%."""
    return _formatted(value, f".{digits}%")


def percent(value: float | None) -> str:
    """Return a figure that is in percent already, as ``share`` writes one: 76%."""
    return share(value / 100 if value is not None else None)


def rate(value: float | None) -> str:
    """Return a learning rate or another small number with three significant digits."""
    return _formatted(value, ".3g")


def whole(value: int | None) -> str:
    """Return a count with commas between the thousands."""
    return _formatted(value, ",")


def interval(bounds: tuple[float, float] | None, digits: int = 3) -> str:
    """Return the two ends of an interval."""
    # adding 0.0 turns a negative zero into zero
    return " to ".join(f"{round(bound, digits) + 0.0:.{digits}f}" for bound in bounds) if bounds is not None else "–"


def with_interval(
    value: float | None, bounds: tuple[float | None, float | None], digits: int = 2, *, sign: bool = False
) -> str:
    """Return a figure with its interval in brackets, or alone where an end is not known: 0.52 (0.31 to 0.70)."""
    # adding 0.0 turns a negative zero into zero
    rounded = value if value is None or not math.isfinite(value) else round(value, digits) + 0.0
    shown = signed(rounded, digits) if sign else number(rounded, digits)
    low, high = bounds
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return shown
    return f"{shown} ({interval((low, high), digits)})"


def rounded(value: float | None, digits: int = 2) -> str:
    """Return a figure with ``digits`` decimals as it stands beside ``with_interval``: never a negative zero."""
    return with_interval(value, (None, None), digits)


def capital(words: str) -> str:
    """Return ``words`` with a capital first letter, the others as they are."""
    return words[:1].upper() + words[1:]


def short_count(value: float | None) -> str:
    """Return a count with at most four digits: 999, 12.3k, 596M."""
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            scaled = value / limit
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Return a size, given in bytes, in binary units: 1.5 GiB."""
    if value is None:
        return "–"
    for limit, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: 4 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    whole_seconds = int(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60} min {whole_seconds % 60:02d} s"
    if whole_seconds < 86400:
        return f"{whole_seconds // 3600} h {whole_seconds % 3600 // 60:02d} min"
    return f"{whole_seconds // 86400} d {whole_seconds % 86400 // 3600} h"


def moment(at: float) -> str:
    """Return a point in time, given in Unix seconds, as local date and minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) if at > 0 else "–"


def bar(share: float | None, width: int) -> str:
    """Return a progress bar of ``width`` characters; ``share`` is clipped to 0 to 1."""
    filled = 0 if share is None or not math.isfinite(share) else round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def histogram(counts: list[int]) -> str:
    """Return one block character per count; a count above zero is always visible, and lines below each other part."""
    highest = max(counts, default=0)
    if highest <= 0:
        return " " * len(counts)
    return "".join(_BLOCKS[max(1, round(count / highest * 7)) if count else 0] for count in counts)


def sparkline(values: Sequence[float], most: float, cells: int) -> str:
    """Return the newest ``cells`` values as one block character each, ``most`` being the highest; NaN is a gap."""
    shown = [_block(value, most) for value in values[-cells:]]
    return "".join(shown).rjust(cells)


def area(values: Sequence[float], most: float, width: int, height: int) -> list[str]:
    """Return ``values`` from first to last as ``height`` lines of ``width`` characters, ``most`` being the highest.

    A character stands for one value, or for the mean of several; NaN is a gap. Only the edge of the area is solid:
    a load of 100% for hours should not shout.
    """
    shown = means(values, width)
    edged = [math.nan, *shown, math.nan]
    around = zip(edged, shown, edged[2:], strict=False)
    columns = [_column(value, (before, after), most, height) for before, value, after in around]
    blank = [" " * height] * (width - len(columns))
    return ["".join(column[line] for column in (*blank, *columns)) for line in range(height)]


def _column(value: float, beside: tuple[float, float], most: float, height: int) -> str:
    """Return one column of an area, from the top down; it is solid down to the values beside it, as a line would be."""
    if math.isnan(value) or most <= 0:
        return " " * height
    full, edge = _level(value, most, height)
    pale = min([full, *(_level(other, most, height)[0] + 1 for other in beside if not math.isnan(other))])
    return (_BLOCKS[edge + 1] + "█" * (full - pale) + "░" * pale).rjust(height)


def _level(value: float, most: float, height: int) -> tuple[int, int]:
    """Return how many whole lines lie below a value, and the eighths of the line that it ends in, less one."""
    return divmod(max(1, min(8 * height, round(value / most * 8 * height))) - 1, 8)


def means(values: Sequence[float], count: int) -> list[float]:
    """Return ``values``, or where they are more than ``count`` the means of ``count`` parts; NaN counts for nothing."""
    if len(values) <= count:
        return list(values)
    ends = [len(values) * at // count for at in range(count + 1)]
    parts = ([value for value in values[start:end] if not math.isnan(value)] for start, end in itertools.pairwise(ends))
    return [sum(part) / len(part) if part else math.nan for part in parts]


def _block(value: float, most: float) -> str:
    if math.isnan(value) or most <= 0:
        return " "
    return _BLOCKS[max(1, min(7, round(value / most * 7)))]


def plural(count: int, noun: str) -> str:
    """Return ``count`` with its noun: 1 row, 2 rows."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"
