"""Say what a tokenizer does not keep of the texts that it is given: letters, line breaks, unknown characters.

Byte-level tokenizers keep everything. Nothing is refused here: a person decides whether the loss matters.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any

from opeddev_tui.data.rows import Example
from opeddev_tui.models.token_rows import TokenRow
from opeddev_tui.text import clean_line

_MOST_TEXTS = 16
_LONGEST = 4000
_SHOWN = 30


def lost_of_texts(tokenizer: Any, completions: Sequence[tuple[Example, TokenRow]]) -> list[str]:
    """Return a sentence for each way in which the tokens of rows are less than their texts."""
    return [*_unknown(tokenizer, [row for _, row in completions]), *_changed(tokenizer, completions)]


def _unknown(tokenizer: Any, rows: Sequence[TokenRow]) -> list[str]:
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id):
        return []
    counts = [row.prompt.count(unknown) + row.completion.count(unknown) for row in rows]
    holding = sum(count > 0 for count in counts)
    if not holding:
        return []
    return [
        f"the tokenizer does not know {sum(counts)} pieces in {holding} of {len(rows)} rows: all of them become "
        f"{clean_line(str(tokenizer.unk_token), max_chars=_SHOWN)}, and the model cannot tell them apart."
    ]


def _changed(tokenizer: Any, completions: Sequence[tuple[Example, TokenRow]]) -> list[str]:
    step = max(1, len(completions) // _MOST_TEXTS)
    for example, _ in completions[::step][:_MOST_TEXTS]:
        text = _comparable(example.submission[:_LONGEST])
        ids = tokenizer(text, add_special_tokens=False).input_ids
        if tokenizer.unk_token_id in ids:
            continue
        back = _comparable(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
        if back != text:
            place = next((at for at, pair in enumerate(zip(text, back, strict=False)) if pair[0] != pair[1]), 0)
            shown = [clean_line(repr(side[max(0, place - 8) : place + 12])) for side in (text, back)]
            return [
                f"the tokenizer does not keep texts as they are: {shown[0]} is read as {shown[1]} ({example.where}). "
                "Line breaks, blanks or capitals that it drops are never seen by the model."
            ]
    return []


def _comparable(text: str) -> str:
    # some tokenizers compose letters or add a blank before the first word, which loses nothing
    return unicodedata.normalize("NFC", text).strip()
