"""Hand submissions on some at a time, so that thousands of files need no more memory than a few."""

from collections.abc import Callable, Iterable, Iterator

from opeddev_tui.serving.asked import Asked

# submissions whose texts are in memory together, and characters of these
_MOST, _MOST_CHARS = 64, 16 << 20


def windows(submissions: Iterable[Asked | None], known: Callable[[Asked], bool] | None = None) -> Iterator[list[Asked]]:
    """Yield ``submissions`` in their order, some at a time; at a None, those before it at once.

    Those that are ``known`` are left out. It is asked about a submission after all equal ones before it were yielded,
    so that one of a window can make the next equal one known.
    """
    window: list[Asked] = []
    contents: set[str] = set()
    chars = 0
    for asked in submissions:
        if window and (asked is None or (known is not None and asked.content in contents)):
            yield window
            window, contents, chars = [], set(), 0
        if asked is None or (known is not None and known(asked)):
            continue
        if known is not None:
            contents.add(asked.content)
        window.append(asked)
        chars += len(asked.example.submission) if asked.example is not None else 0
        if len(window) >= _MOST or chars > _MOST_CHARS:
            yield window
            window, contents, chars = [], set(), 0
    if window:
        yield window
