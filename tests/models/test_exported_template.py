"""An exported chat template asks by default what training asked, for any tokenizer and template."""

from pathlib import Path
from typing import Any

import pytest
import tokenizer_families as families

from opeddev_tui.config import settings as st
from opeddev_tui.exporting.ollama import GoTemplate, go_template, modelfile
from opeddev_tui.models import loading
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.exported_template import PROBES, difference, exported

_PARTS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% for part in m.content %}{{ part['text'] }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_NO_PROMPT = "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}\n"
_DATED = "Today: {{ strftime_now('%d %b %Y') }}\n" + str(families.FAMILIES["neox"][5])
# thinking is said beside the system message, not at the end
_IN_SYSTEM = (
    "{% if not enable_thinking is defined %}{% set enable_thinking = true %}{% endif %}"
    "{% if messages[0].role == 'system' %}{{ messages[0].content + ('/think' if enable_thinking else '/no_think') }}"
    "{% endif %}{% for m in messages if m.role != 'system' %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_BLANKS = (
    "\n  {%- for m in messages %}\n  {{ '<|im_start|>' + m.content }}\n  {%- endfor %}\n  {% if x %}{% endif %}\n\n"
)
TEMPLATES = {
    **dict.fromkeys(families.FAMILIES),
    "parts": _PARTS,
    "no generation prompt": _NO_PROMPT,
    "date": _DATED,
    "thinking beside the system message": _IN_SYSTEM,
    "blanks around": _BLANKS,
}


def loaded(folder: Path, name: str) -> Any:
    family = name if name in families.FAMILIES else "qwen3"
    families.build(folder, family, template=TEMPLATES[name])
    return loading.load_tokenizer(str(folder), st.Model())


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("name", TEMPLATES)
def test_whoever_says_nothing_gets_the_prompts_of_the_training(tmp_path: Path, name: str, thinking: bool) -> None:
    tokenizer = loaded(tmp_path, name)
    encoder = ChatEncoder(tokenizer, max_length=4000, thinking=thinking)
    template, note = exported(tokenizer, encoder)
    assert note == ""
    expected = [encoder.encode_prompt(probe) for probe in PROBES[:2]]
    # read again, trained on and exported again, it asks the same
    tokenizer.chat_template = template
    again = ChatEncoder(tokenizer, max_length=4000, thinking=thinking)
    assert [again.encode_prompt(probe) for probe in PROBES[:2]] == expected
    assert difference(tokenizer, again, exported(tokenizer, again)[0]) == ""


def test_the_default_of_qwen3_asks_otherwise_and_is_changed(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, "qwen3")
    encoder = ChatEncoder(tokenizer, max_length=400)
    assert difference(tokenizer, encoder, tokenizer.chat_template) == "user"
    assert difference(tokenizer, encoder, exported(tokenizer, encoder)[0]) == ""


def test_the_other_templates_of_a_tokenizer_stay(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, "qwen3")
    tokenizer.chat_template = {"default": tokenizer.chat_template, "tool_use": "tools"}
    template, note = exported(tokenizer, ChatEncoder(tokenizer, max_length=400))
    assert (template["tool_use"], note) == ("tools", "")
    assert "enable_thinking = false" in template["default"]


# --- Ollama


def go(template: str, system: str, prompt: str) -> str:
    """Render what Go's language has of the templates written here: if, else, end, three fields, a quoted brace."""
    text = template.partition("{{ .Response }}")[0]
    head, _, rest = text.partition("{{ end }}")
    with_system, _, without = head.removeprefix("{{ if .System }}").partition("{{ else }}")
    text = (with_system if system else without) + rest
    for field, value in (("{{ .System }}", system), ('{{ "{{" }}', "\ue009"), ("{{ .Prompt }}", prompt)):
        text = text.replace(field, value)
    return text.replace("\ue009", "{{")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_modelfile_asks_what_training_asked_or_there_is_none(tmp_path: Path, name: str) -> None:
    tokenizer = loaded(tmp_path, name)
    encoder = ChatEncoder(tokenizer, max_length=4000)
    text, refused = modelfile(tokenizer, encoder, st.Settings(), None)
    if not text:
        assert refused.startswith("No Modelfile: ")
        return
    template = text.partition('TEMPLATE """')[2].partition('"""')[0]
    begins = tokenizer.bos_token if (tokenizer.bos_token_id,) == tuple(tokenizer("x")["input_ids"][:1]) else ""
    for probe in PROBES[:2]:
        *system, user = [message.content for message in probe]
        prompt = user.strip()
        asked = [type(probe[0])(message.role, message.content.strip()) for message in probe]
        assert begins + go(template, "".join(system).strip(), prompt) == encoder.template.prompt(asked)
    assert "PARAMETER repeat_penalty 1\n" in text


def test_most_families_have_a_modelfile_with_their_own_ends(tmp_path: Path) -> None:
    found = {}
    for name in ("gemma", "llama3", "mistral", "qwen3", "neox"):
        tokenizer = loaded(tmp_path / name, name)
        found[name] = modelfile(tokenizer, ChatEncoder(tokenizer, max_length=400), st.Settings(), None)[0]
    assert 'PARAMETER stop "<|im_end|>"' in found["qwen3"]
    assert "<think>\n\n</think>\n\n{{ .Response }}<|im_end|>" in found["qwen3"]
    assert 'PARAMETER stop "<end_of_turn>"' in found["gemma"]
    assert "takes" not in found["qwen3"]
    assert "took blanks and line breaks off" in found["gemma"]
    assert "<|start_header_id|>assistant<|end_header_id|>" in found["llama3"]
    assert "{{ .Prompt }}[/INST]{{ .Response }}</s>" in found["mistral"]
    assert all('SYSTEM """You grade' in text for text in found.values())


def test_braces_of_a_chat_template_stay_braces() -> None:
    template = GoTemplate("a {{ b", "s {{", " t", " e", "").text()
    assert go(template, "", "{{ x }}") == "a {{ b{{ x }} e"
    assert go(template, "S", "p") == "s {{S tp e"


def test_what_ollama_would_add_is_refused(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, "qwen3")
    encoder = ChatEncoder(tokenizer, max_length=400)
    tokenizer.bos_token = "<|endoftext|>"

    class Adds:
        bos_token_id, bos_token = tokenizer.bos_token_id, tokenizer.bos_token

        def __call__(self, _: str) -> dict[str, list[int]]:
            return {"input_ids": [tokenizer.bos_token_id, 1]}

    assert "would put <|endoftext|> before every prompt" in str(go_template(Adds(), encoder))
