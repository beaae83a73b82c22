"""What tokenizers and chat templates do not keep of a text is said; those that keep everything are left alone."""

from pathlib import Path
from typing import Any

import pytest
import tokenizer_families as families
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.models import loading
from opeddev_tui.models.kept_texts import lost_of_texts
from opeddev_tui.models.template import ChatTemplate
from opeddev_tui.models.token_rows import TokenRow

CODE = "function Add(a, b) {\n    return a + b;\n}\n"


def _notes(tokenizer: Any, text: str = CODE) -> list[str]:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    example = Example((Message("user", text),), "Grade: 3", 3, "", "rows.jsonl:1", "", text)
    return lost_of_texts(tokenizer, [(example, TokenRow(0, ids, ids[:1], 1.0))])


def _words(normalizer: Any, pre_tokenizer: Any, texts: list[str]) -> Any:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizer
    special = ["[PAD]", "[UNK]", "[EOS]"]
    made.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", eos_token="[EOS]")


def test_signs_that_a_tokenizer_does_not_know_are_counted() -> None:
    notes = _notes(_words(normalizers.NFC(), pre_tokenizers.Whitespace(), [CODE]), "return Ω + 漢;")
    assert "does not know 2 pieces in 1 of 1 rows: all of them become [UNK]" in notes[0]


@pytest.mark.parametrize(
    ("normalizer", "shown"), [(normalizers.Lowercase(), "'unction Add"), (normalizers.NFC(), "\\n")]
)
def test_capitals_and_line_breaks_that_are_dropped_are_said(normalizer: Any, shown: str) -> None:
    notes = _notes(_words(normalizer, pre_tokenizers.Whitespace(), [CODE, CODE.lower()]))
    assert len(notes) == 1
    assert "does not keep texts as they are" in notes[0]
    assert shown in notes[0]
    assert "rows.jsonl:1" in notes[0]


@pytest.mark.parametrize("name", sorted(families.FAMILIES))
def test_tokenizers_of_the_families_keep_everything(name: str, tmp_path: Path) -> None:
    assert _notes(families.build(tmp_path, name), "".join(families.LINES)) == []


def _template(tiny_model: Path, content: str, loop: str = "messages") -> ChatTemplate:
    tokenizer = loading.load_tokenizer(str(tiny_model), st.Model())
    tokenizer.chat_template = (
        "{% for m in " + loop + " %}<|im_start|>{{ m.role }}\n{{ " + content + " }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return ChatTemplate(tokenizer, thinking=False)


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        ("m.content", False),
        ("m.content | trim", False),
        ("m.content | e", True),
        ("m.content.split() | join(' ')", True),
    ],
)
def test_a_template_that_changes_code_is_seen(tiny_model: Path, content: str, changes: bool) -> None:
    assert _template(tiny_model, content).changes_texts is changes


@pytest.mark.parametrize(("loop", "drops"), [("messages", False), ("messages[-1:]", True)])
def test_a_template_that_leaves_earlier_turns_out_is_seen(tiny_model: Path, loop: str, drops: bool) -> None:
    assert _template(tiny_model, "m.content", loop).drops_turns is drops
