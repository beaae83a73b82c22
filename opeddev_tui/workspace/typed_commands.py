"""Commands that are printed to be typed: complete for the folder a person stands in.

Texts name commands as one types them inside of the workspace; outside of it they need ``-w`` as well. Paths are told
relative to a folder that is known to who reads them.
"""

import contextlib
import re
from pathlib import Path

# commands that work on a workspace; the others name a folder of their own
IN_A_WORKSPACE = (
    *("check", "train", "tune", "decide", "checkpoints", "push", "race", "grade", "correct", "regrade", "propose"),
    *("test", "serve", "status", "note", "plot", "report", "repeat", "notify", "export-logs", "doctor"),
)
# no folder of that name can be named without a path
_EVERY = (*IN_A_WORKSPACE, "open", "attach", "demo", "init", "rank")
# whose options are those of the action that follows
_WITH_ACTIONS = "checkpoints"
# re keeps what it has compiled; to do that at the start would cost a part of the first picture's time
_COMMAND = (
    r"(?m)(?<![\w./-])opeddev-tui"
    rf"(?: (?:{_WITH_ACTIONS} [a-z]+|(?!{_WITH_ACTIONS} [a-z])(?:{'|'.join(IN_A_WORKSPACE)}))"
    r"(?![\w-])(?! -w\b)|(?=[.;,)]|$| to open))"
)


def named_from_here(root: Path) -> str:
    """Return ``root`` as one names it in a shell from the folder of now; "" where that is the folder of now."""
    with contextlib.suppress(OSError):  # the folder of now may be gone
        here = Path.cwd()
        if root == here:
            return ""
        root = root.relative_to(here) if root.is_relative_to(here) else root
    import shlex  # the app opens without it

    name = str(root)
    return shlex.quote(f"./{name}" if name in _EVERY or name.startswith("-") else name)


def for_here(text: str, root: Path) -> str:
    """Return ``text`` with every command in it complete for the folder of now: with ``-w`` outside of ``root``."""
    if "opeddev-tui" not in text or not (place := named_from_here(root)):
        return text
    return re.sub(_COMMAND, lambda found: f"{found[0]} {'-w ' if ' ' in found[0] else ''}{place}", text)


def within(text: str, folder: Path) -> str:
    """Return ``text`` with every path below ``folder`` told relative to it: there is room for what is wrong, then."""
    inside = f"{str(folder).rstrip('/')}/"
    if inside not in text:
        return text
    # not the end of a longer path
    return re.sub(rf"(?<![\w./~-]){re.escape(inside)}", "", text)


def within_here(text: str) -> str:
    """Return ``text`` with every path below the folder of now told relative to it."""
    with contextlib.suppress(OSError):  # it may be gone
        return within(text, Path.cwd())
    return text


def reopening(root: Path) -> str:
    """Return the command that opens the workspace at ``root`` from the folder of now."""
    return f"opeddev-tui {named_from_here(root)}".rstrip()
