"""Write a chat template whose defaults are those of the training, and check that it asks what training asked.

Whoever loads an exported folder and says nothing of thinking, of the date or of the system message gets the prompts
that were trained. Must not change how training itself renders.
"""

from collections.abc import Sequence
from typing import Any

from opeddev_tui.data.rows import Message
from opeddev_tui.errors import DataProblem
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.template_defaults import PLAIN

_CODE = """<p class="a">\n    b & 'c' {{ d }} {% e %}\n</p>\n"""
PROBES: tuple[tuple[Message, ...], ...] = (
    (Message("user", _CODE),),
    (Message("system", "Be strict."), Message("user", f"Ü 漢 {_CODE}")),
    (Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
    (Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
)


def difference(tokenizer: Any, encoder: ChatEncoder, template: str) -> str:
    """Return on which messages ``template`` gives other token ids than ``encoder``, in words; "" where on none."""
    for messages in PROBES:
        try:
            trained = encoder.encode_prompt(messages)
        except DataProblem:
            continue  # training refuses such messages
        if trained != _plain(tokenizer, template, messages):
            return ", ".join(message.role for message in messages)
    return ""


def _plain(tokenizer: Any, template: str, messages: Sequence[Message]) -> list[int] | None:
    """Return what a program that knows nothing of the training gets; None where the template refuses."""
    import jinja2

    plain = [{"role": message.role, "content": message.content} for message in messages]
    try:
        found = tokenizer.apply_chat_template(
            plain, chat_template=template, add_generation_prompt=True, return_dict=True
        )
    except (jinja2.TemplateError, TypeError, ValueError):
        return None
    return list(found["input_ids"])


def exported(tokenizer: Any, encoder: ChatEncoder) -> tuple[Any, str]:
    """Return the ``chat_template`` that an export carries, and a sentence where it does not ask what training asked."""
    own = tokenizer.chat_template
    template = encoder.template.as_trained() if own else PLAIN
    refused = difference(tokenizer, encoder, template)
    note = f"The chat template cannot be made to ask what training asked for messages of {refused}." if refused else ""
    return ({**own, "default": template} if isinstance(own, dict) else template), note
