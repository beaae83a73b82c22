"""What a screen shows, as the lines that Textual sends to a terminal. The only use of its compositor in the tests."""

from textual.screen import Screen
from textual.strip import Strip


def strips_of(screen: Screen[object]) -> list[Strip]:
    """Return the lines of ``screen`` with their styles."""
    return screen._compositor.render_strips()


def text_of(screen: Screen[object]) -> str:
    """Return ``screen`` as plain text."""
    return "\n".join(strip.text for strip in strips_of(screen))


def lines_of(screen: Screen[object]) -> list[str]:
    """Return ``screen`` as lines of plain text, without the blanks at their ends."""
    return [strip.text.rstrip() for strip in strips_of(screen)]


def words_of(screen: Screen[object]) -> str:
    """Return ``screen`` as one line of words without frames."""
    return " ".join(text_of(screen).replace("│", " ").replace("┃", " ").split())
