"""Write an Ollama Modelfile whose Go template asks what training asked, or say in one sentence why there is none.

The template is read off what the chat template renders for stand-in texts, and compared with it on other texts, so no
list of formats is needed. It holds one question and its answer, with a system message or without.
"""

from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Message
from opeddev_tui.exporting.bases import KnownBase
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.exported_template import PROBES
from opeddev_tui.models.template import TemplateRefusal

_SYSTEM, _USER = "\ue000s\ue001", "\ue000u\ue001"
_QUOTES = '"""'


class GoTemplate(Struct, frozen=True):
    """What stands around the texts of a prompt; ``between`` is None where a system message cannot be told apart.

    ``begin`` is what begins the prompt without a system message, ``with_system`` what begins it with one.
    """

    begin: str
    with_system: str
    between: str
    end: str
    after: str

    def text(self) -> str:
        """Return the template in Go's language."""
        system = f"{{{{ if .System }}}}{_go(self.with_system)}{{{{ .System }}}}{_go(self.between)}"
        rest = f"{{{{ .Prompt }}}}{_go(self.end)}{{{{ .Response }}}}{_go(self.after)}"
        return f"{system}{{{{ else }}}}{_go(self.begin)}{{{{ end }}}}{rest}"

    def rendered(self, system: str, prompt: str) -> str:
        """Return what Ollama makes of a system message ("" for none) and a prompt."""
        before = f"{self.with_system}{system}{self.between}" if system else self.begin
        return f"{before}{prompt}{self.end}"


def modelfile(tokenizer: Any, encoder: ChatEncoder, settings: st.Settings, below: KnownBase | None) -> tuple[str, str]:
    """Return the Modelfile, or "" and the reason why there is none; ``below``: the base of adapters written alone."""
    if below is not None:
        return "", "Ollama needs the whole model: export with --merge."
    found = go_template(tokenizer, encoder)
    if isinstance(found, str):
        return "", found
    ends = [str(tokenizer.decode([item])) for item in encoder.end_ids]
    texts = [found.text(), settings.grading.system_prompt, *ends]
    if any(_QUOTES in text for text in texts):
        return "", f"Ollama's Modelfile cannot hold {_QUOTES}, which the chat template or the system message has."
    lines = [
        "# ollama create NAME -f Modelfile",
        "FROM .",
        *(_trimmed(encoder)),
        f"TEMPLATE {_QUOTES}{found.text()}{_QUOTES}",
        *([f"SYSTEM {_QUOTES}{settings.grading.system_prompt}{_QUOTES}"] if settings.grading.system_prompt else []),
        # the likeliest token, as the app generates; Ollama punishes repetition unless it is told not to
        "PARAMETER temperature 0",
        "PARAMETER top_k 1",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {encoder.max_length + settings.generation.max_new_tokens}",
        f"PARAMETER num_predict {settings.generation.max_new_tokens}",
        *(f'PARAMETER stop "{end}"' for end in ends if '"' not in end and end.strip()),
    ]
    return "\n".join(lines) + "\n", ""


def go_template(tokenizer: Any, encoder: ChatEncoder) -> GoTemplate | str:
    """Return the Go template of ``encoder``'s chat template, or the reason in a sentence why none asks the same."""
    begins = _begin_token(tokenizer)
    try:
        plain = encoder.template.prompt([Message("user", _USER)])
        whole = encoder.template.prompt([Message("system", _SYSTEM), Message("user", _USER)])
    except TemplateRefusal as refusal:
        return f"No Modelfile: the chat template refuses a system message ({refusal})."
    if begins and not (plain.startswith(begins) and whole.startswith(begins)):
        return f"No Modelfile: Ollama would put {begins} before every prompt, which training did not."
    plain, whole = plain.removeprefix(begins), whole.removeprefix(begins)
    begin, _, end = plain.partition(_USER)
    with_system, _, rest = whole.partition(_SYSTEM)
    between, _, end_after_system = rest.partition(_USER)
    found = GoTemplate(begin, with_system, between, end, _after(tokenizer, encoder))
    odd = _USER in end or end != end_after_system or whole.count(_SYSTEM) != 1 or whole.count(_USER) != 1
    if odd or not all(_same(found, encoder, begins, probe) for probe in PROBES[:2]):
        return "No Modelfile: the chat template does more with texts than Ollama's templates can."
    return found


def _same(found: GoTemplate, encoder: ChatEncoder, begins: str, probe: tuple[Message, ...]) -> bool:
    system = "".join(message.content for message in probe if message.role == "system")
    # blanks at the ends of a text are told apart: see ``_trimmed``
    prompt = "".join(message.content for message in probe if message.role == "user").strip()
    messages = [message for message in (Message("system", system), Message("user", prompt)) if message.content]
    return begins + found.rendered(system, prompt) == encoder.template.prompt(messages)


def _trimmed(encoder: ChatEncoder) -> list[str]:
    text = "\n x \n"
    if text in encoder.template.prompt([Message("user", text)]):
        return []
    return [
        "# Training took blanks and line breaks off both ends of a prompt, and Ollama does not: take them off first."
    ]


def _after(tokenizer: Any, encoder: ChatEncoder) -> str:
    """Return what stands after an answer: its end with the blanks behind it, not the next header of some templates."""
    end, text = str(tokenizer.decode([encoder.end_ids[0]])), encoder.template.end
    behind = text.partition(end)[2]
    return end + behind[: len(behind) - len(behind.lstrip())]


def _begin_token(tokenizer: Any) -> str:
    """Return the begin token where the tokenizer puts it before every text, as llama.cpp then does; else ""."""
    bos = tokenizer.bos_token_id
    ids = list(tokenizer("x")["input_ids"])
    return str(tokenizer.bos_token) if bos is not None and ids[:1] == [bos] else ""


def _go(text: str) -> str:
    """Return literal text as Go's template language writes it."""
    return text.replace("{{", '{{ "{{" }}')
