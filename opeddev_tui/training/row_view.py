"""Tell how training encodes single rows: a process of its own, which answers each line of its input with one line.

``python -m opeddev_tui.training.row_view ROOT [SETTING …]`` reads ``AskedRow`` and writes ``EncodedText``, both as
JSON. The screen starts it, so that no library of the training is loaded there. It reads no weights and writes no file,
and ends with its input, or when nothing was asked for some minutes.
"""

import os
import select
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from opeddev_tui.analysis.row_records import AskedRow, EncodedText, Part
from opeddev_tui.config import loading as configuration
from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import Problem
from opeddev_tui.models import loading, token_check
from opeddev_tui.models.markers import special_tokens
from opeddev_tui.models.token_rows import EncodedRows, GradePlace
from opeddev_tui.training.grade_places import place_grades

# seconds without a question after which the process ends
_IDLE = 300.0
# special tokens of a row whose places are told
_MOST_MARKS = 200


class RowReader:
    """Encodes rows as a step of the workspace ``root`` would; raises ``Problem`` for a model without a tokenizer."""

    def __init__(self, root: Path, settings: st.Settings) -> None:
        self._settings = settings
        self._fitted = token_check.fit(loading.source_of(root, settings.model.name), settings)
        self._special = frozenset(special_tokens(self._fitted.tokenizer).values())

    def read(self, asked: AskedRow) -> EncodedText:
        """Return the row as the model sees it."""
        encoder, example = self._fitted.encoder, asked.example
        prompt, completion = encoder.encode(example)
        encoded = encoder.encode_all([example], weighted=asked.trained)
        weight = example.weight if asked.trained else 1.0
        if encoded.dropped:
            note = "Left out: the completion leaves too little room for the prompt."
            return self._told([("prompt", prompt), ("unused", completion)], weight, note)
        if encoded.unweighted:
            return self._told([("prompt", prompt), ("unused", completion)], 0.0, "Not trained on: its weight is 0.")
        row = encoded.rows[0]
        parts = _prompt_parts(prompt, row.prompt)
        place, note = self._place(encoded, example) if asked.trained else (None, "")
        return self._told([*parts, *_completion_parts(row.completion, place)], weight, note)

    def _place(self, encoded: EncodedRows, example: Example) -> tuple[GradePlace | None, str]:
        """Return where the grade's own tokens are, if they are trained otherwise than the rest."""
        grading = self._settings.grading
        try:
            placed, _ = place_grades(self._fitted.encoder, grading, encoded, [example])
        except Problem:
            return None, "It does not state its grade as the scale writes it: it is trained as text alone."
        weigh = f"Each of the grade's tokens weighs {grading.token_weight:g}." if grading.token_weight != 1 else ""
        return placed.rows[0].grade, weigh if placed.rows[0].grade is not None else ""

    def _told(self, parts: Sequence[tuple[str, list[int]]], weight: float, note: str) -> EncodedText:
        told = tuple(self._part(kind, ids) for kind, ids in parts if ids)
        return EncodedText(told, self._fitted.encoder.max_length, weight, note)

    def _part(self, kind: str, ids: list[int]) -> Part:
        if kind == "cut":
            return Part(kind, "", len(ids))
        text, marks = decoded(self._fitted.tokenizer, self._special, ids)
        return Part(kind, text, len(ids), marks)


def decoded(tokenizer: Any, special: Collection[int], ids: Sequence[int]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the text of tokens, and where in it the ``special`` ones are: (start, stop) of each."""
    text = str(tokenizer.decode(ids))
    places = [at for at, token in enumerate(ids) if token in special][:_MOST_MARKS]
    marks = tuple((len(tokenizer.decode(ids[:at])), len(tokenizer.decode(ids[: at + 1]))) for at in places)
    # where a tokenizer writes a piece otherwise than inside the whole, its place cannot be told
    known = all(
        text[start:stop] == tokenizer.decode([ids[at]]) for at, (start, stop) in zip(places, marks, strict=True)
    )
    return text, marks if known else ()


def _prompt_parts(whole: list[int], kept: list[int]) -> list[tuple[str, list[int]]]:
    if len(kept) == len(whole):
        return [("prompt", whole)]
    head = len(kept) // 2
    tail = len(whole) - (len(kept) - head)
    return [("prompt", whole[:head]), ("cut", whole[head:tail]), ("prompt", whole[tail:])]


def _completion_parts(completion: list[int], place: GradePlace | None) -> list[tuple[str, list[int]]]:
    if place is None:
        return [("loss", completion)]
    end = place.start + place.length
    return [("loss", completion[: place.start]), ("grade", completion[place.start : end]), ("loss", completion[end:])]


def answer(reader: RowReader, line: bytes) -> EncodedText:
    """Return the row that a line asks for, or the problem with it."""
    try:
        return reader.read(msgspec.json.decode(line, type=AskedRow))
    except (Problem, msgspec.MsgspecError) as problem:
        return EncodedText(problem=str(problem))


def main(arguments: Sequence[str]) -> None:
    """Answer lines until the input ends."""
    # whatever a library prints must not come between the answers
    answers = os.dup(1)
    os.dup2(2, 1)
    loading.quiet_libraries()
    root = Path(arguments[0])
    reader: RowReader | None = None
    problem = ""
    try:
        reader = RowReader(root, configuration.load(root, overrides=list(arguments[1:])).settings)
    except Problem as found:
        problem = str(found)
    with os.fdopen(0, "rb", buffering=0, closefd=False) as questions, os.fdopen(answers, "wb", buffering=0) as out:
        waiting = b""
        while select.select([questions], [], [], _IDLE)[0] and (read := questions.read(1 << 20)):
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                told = answer(reader, line) if reader is not None else EncodedText(problem=problem)
                out.write(msgspec.json.encode(told) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
