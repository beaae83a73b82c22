"""Put what training does around a chat template into the template itself, as Jinja text.

Knows no tokenizer and renders nothing; ``exported_template`` checks the outcome.
"""

from msgspec import Struct

# without a template training puts blank lines between messages and after them
PLAIN = "{% for message in messages %}{{ message['content'] + '\\n\\n' }}{% endfor %}"
# the same as ``ChatTemplate._folded``, in the template's own language
_FOLDING = (
    "{%- if messages and messages[0]['role'] == 'system' %}"
    "{%- if messages[1:] and messages[1]['role'] == 'user' %}"
    "{%- set messages = [{'role': 'user', 'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] "
    "+ messages[2:] %}"
    "{%- else %}{%- set messages = [{'role': 'user', 'content': messages[0]['content']}] + messages[1:] %}{%- endif %}"
    "{%- endif %}"
)
# for templates that take contents in parts alone
_IN_PARTS = (
    "{%- set whole = namespace(messages=[]) %}{%- for message in messages %}"
    "{%- if message['content'] is string %}"
    "{%- set message = dict(message, content=[{'type': 'text', 'text': message['content']}]) %}{%- endif %}"
    "{%- set whole.messages = whole.messages + [message] %}{%- endfor %}{%- set messages = whole.messages %}"
)


class Frame(Struct, frozen=True):
    """What training does around a template: its default of ``thinking``, and how messages are brought into it.

    ``folds``: the system text goes before the user's; ``in_parts``: contents are lists of parts; ``header``: what
    begins an answer where the template itself has no generation prompt.
    """

    thinking: bool
    asks_thinking: bool
    folds: bool
    in_parts: bool
    header: str


def with_defaults(own: str, frame: Frame) -> str:
    """Return the template ``own`` inside ``frame``, which sets its defaults."""
    before = ""
    if frame.asks_thinking:
        value = "true" if frame.thinking else "false"
        before += f"{{%- if enable_thinking is not defined %}}{{%- set enable_thinking = {value} %}}{{%- endif %}}"
    if frame.folds:
        before += _FOLDING
    if frame.in_parts:
        before += _IN_PARTS
    # the line break after a block is not rendered, so the template's own first line begins as it did
    text = f"{before}\n{own}" if before else own
    if frame.header:
        # as everywhere a last line break is not rendered: now it would no longer be the last
        text = f"{text.removesuffix(chr(10))}{{% if add_generation_prompt %}}{{{{ {frame.header!r} }}}}{{% endif %}}"
    return text
