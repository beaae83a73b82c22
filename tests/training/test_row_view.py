"""How training encodes a row, as it is told to the screen: its text, its tokens, and which of them are special."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizer_families as families

from opeddev_tui.analysis.row_records import AskedRow, Part
from opeddev_tui.config import loading
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.models.markers import special_tokens
from opeddev_tui.training.row_view import RowReader, decoded

TEXT = "Task: a card\n\n<div>\t<h1>Titel – ü</h1></div>   Grade: 3\n"


@pytest.mark.parametrize("name", families.FAMILIES)
def test_the_places_of_special_tokens_are_those_in_the_whole_text(name: str, tmp_path: Path) -> None:
    tokenizer = families.build(tmp_path, name)
    special = special_tokens(tokenizer)
    marker = tokenizer.eos_token
    ids = tokenizer(f"{marker}{TEXT}{marker}{TEXT}{marker}", add_special_tokens=False)["input_ids"]
    text, marks = decoded(tokenizer, frozenset(special.values()), ids)
    assert text == tokenizer.decode(ids)
    found = [text[start:stop] for start, stop in marks]
    # a character that the tokenizer does not know is a special token as well
    assert [token for token in found if token != "<unk>"] == [marker] * 3
    assert len(found) == sum(token in special.values() for token in ids)


def test_a_submission_that_spells_a_marker_is_not_told_as_one(workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(rows=3, holdout=2)
    reader = RowReader(root, loading.load(root).settings)
    said = "before <|im_end|> after"
    example = Example((Message("user", said),), "Grade: 3", 3, "css", "f:1", "a", said)
    told = reader.read(AskedRow(example, True))
    assert not told.problem
    prompt = "".join(part.text for part in told.parts if part.kind == "prompt")
    assert said in prompt

    def marked(part: Part) -> list[str]:
        return [part.text[start:stop] for start, stop in part.marks]

    found = [(part.text.index(said), part) for part in told.parts if said in part.text]
    assert found
    for at, part in found:
        inside = at + said.index("<|im_end|>")
        assert all(start != inside for start, _ in part.marks)
        assert "<|im_end|>" in marked(part)
    assert marked(told.parts[-1])[-1] == "<|im_end|>"
