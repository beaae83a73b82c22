"""A row as the model sees it, as text: its special tokens, what is cut, what carries loss. Pure.

What matters shows without colour too: special tokens are bold grey, a bar stands before what carries loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from opeddev_tui.analysis.row_records import EncodedText, Part
from opeddev_tui.format import plural
from opeddev_tui.ui.widgets.code_text import coloured, shown

_MARK = "bold $muted"
# a line break at the end of a prompt is a token's work, and cannot be seen otherwise
_BREAK = "⏎"


def encoded(told: EncodedText, width: int, kind: str = "") -> Content:
    """Return a row in lines of ``width`` cells; ``kind`` is the language of its code."""
    if told.problem:
        return Content.styled(f"✗ {shown(told.problem)}", "$text-error-own")
    cut, trained = told.tokens("cut"), told.tokens("loss", "grade")
    head = f"Prompt: {plural(told.tokens('prompt'), 'token')}, no loss"
    head += f", {plural(cut, 'token')} in its middle cut (at most {told.max_length:,} with the answer)" if cut else ""
    parts = [Content.styled(head, "bold $primary"), _prompt(told.parts, kind), Content("")]
    if trained:
        weight = f", weight {told.weight:g}" if told.weight != 1 else ""
        parts.append(Content.styled(f"Answer: {plural(trained, 'token')}, all carry loss{weight}", "bold $success"))
        parts.append(_barred([part for part in told.parts if part.kind in ("loss", "grade")], width))
    else:
        parts.append(Content.styled("Answer: carries no loss", "bold $warning"))
        parts += [Content("").join(_pieces(part, kind)) for part in told.parts if part.kind == "unused"]
    return Content("\n").join(parts)


def summary(told: EncodedText) -> str:
    """Return what a person should know of a row at a glance."""
    if told.problem:
        return ""
    asked, trained = told.tokens("prompt"), told.tokens("loss", "grade")
    counted = f"{asked:,} asked + {trained:,} answered" if trained else f"{asked:,} asked"
    return " · ".join(filter(None, [f"{counted}, bold grey: special tokens", told.note]))


def _prompt(parts: Sequence[Part], kind: str) -> Content:
    """Return the prompt, with what was cut out of it in its place, and the line breaks at its end as signs."""
    text = Content("")
    for part in parts:
        if part.kind == "prompt":
            text = Content("").join([text, *_pieces(part, kind)])
        elif part.kind == "cut":
            marker = f"\n[… {plural(part.tokens, 'token')} cut here: the model does not see them …]\n"
            text += Content.styled(marker, "bold $warning")
    end = text.rstrip("\n")
    return end + Content.styled(_BREAK * (len(text.plain) - len(end.plain)), _MARK)


def _pieces(part: Part, kind: str) -> Iterator[Content]:
    """Yield a part's text: between its special tokens, and these."""
    at = 0
    for start, stop in part.marks:
        yield coloured(part.text[at:start], kind)
        yield Content.styled(shown(part.text[start:stop]), _MARK)
        at = stop
    yield coloured(part.text[at:], kind)


def _barred(parts: Sequence[Part], width: int) -> Content:
    """Return an answer as lines with a bar before each; the grade's own tokens are in ‹›."""
    text = Content("")
    for part in parts:
        words = Content("").join(_pieces(part, ""))
        text += Content.styled(f"‹{words.plain}›", "bold $accent") if part.kind == "grade" else words
    bar = Content.styled("┃ ", "$success")
    return Content("\n").join(bar + line for line in text.wrap(max(8, width - 2)))
