"""Render messages with a tokenizer's chat template, and say in one sentence what a template refuses.

A system message that the template refuses or leaves out is put before the first user message. Nothing else of a
message is changed: what a template cannot take is refused.
"""

import datetime
import re
from collections.abc import Sequence
from typing import Any

import jinja2

from opeddev_tui.data.rows import Message
from opeddev_tui.errors import ModelProblem
from opeddev_tui.models.markers import role_markers
from opeddev_tui.models.template_defaults import Frame, with_defaults
from opeddev_tui.text import clean_line

# texts that stand for a message's own while the template is looked at
_SYSTEM, _USER, _ANSWER, _LATER = (f"\ue000{name}\ue001" for name in ("s", "u", "a", "v"))
_MARKUP = """<p class="a">\n    b & 'c'\n</p>"""
# what a template gets for today: the same prompts tomorrow, or a run could be neither resumed nor repeated exactly
_DATE = datetime.date(2025, 1, 1)
_NOW = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
# what is rendered to find out whether a template asks otherwise where nothing is said of thinking
_CHATS = (
    (Message("user", _USER),),
    (Message("system", _SYSTEM), Message("user", _USER)),
    (Message("user", _USER), Message("assistant", _ANSWER), Message("user", _LATER)),
)
# what a template raises for messages that it does not take; TypeError and ValueError come from its own expressions
_REFUSALS = (jinja2.TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError)


class TemplateRefusal(ValueError):
    """The template does not take these messages; the text is the template's own reason."""


class ChatTemplate:
    """One tokenizer's chat template. Without one, messages are separated by blank lines.

    ``folds_system`` says that the system text is put before the user's, ``changes_texts`` that code does not arrive
    as it is, ``drops_turns`` that earlier turns are left out. ``end`` is what the template writes after an
    answer, ``role_markers`` are the marks that it writes around texts. Raises ``ModelProblem`` for a template that
    cannot render a single user message.
    """

    def __init__(self, tokenizer: Any, *, thinking: bool) -> None:
        self._tokenizer = tokenizer
        self._thinking = thinking
        self._in_parts = False
        self.date = _DATE.strftime("%d %B %Y")
        own = tokenizer.chat_template
        self._template = _NOW.sub(_dated, own) if isinstance(own, str) else None
        self.writes_date = self._template != own and isinstance(own, str)
        self._header = ""
        self.folds_system = False
        self.changes_texts = False
        self.drops_turns = False
        self.end = ""
        self.role_markers: list[str] = []
        if tokenizer.chat_template:
            self._look()

    @property
    def knows_reasoning(self) -> bool:
        """True where the template renders ``reasoning_content`` of an answer."""
        template = self._tokenizer.chat_template
        return "reasoning_content" in (template if isinstance(template, str) else str(template or ""))

    def prompt(self, messages: Sequence[Message], *, thinking: bool | None = None) -> str:
        """Return the text up to where the model begins to write; raises ``TemplateRefusal``.

        ``thinking`` is the setting's unless given.
        """
        if not self._tokenizer.chat_template:
            return "\n\n".join(message.content for message in messages) + "\n\n"
        return self._rendered(self._folded(messages), thinking=thinking) + self._header

    def answer(self, messages: Sequence[Message], answer: Message) -> str:
        """Return the text that the template writes for ``answer`` after ``prompt(messages, thinking=True)``.

        Its end is cut off. Raises ``TemplateRefusal`` where the transcript does not begin with the prompt.
        """
        before = self.prompt(messages, thinking=True)
        whole = self._rendered([*self._folded(messages), answer], thinking=True, generation=False)
        if not whole.startswith(before):
            raise TemplateRefusal("its transcript does not begin with its prompt")
        text = whole[len(before) :]
        return text[: -len(self.end)] if self.end and text.endswith(self.end) else text.rstrip("\n")

    def as_trained(self) -> str:
        """Return the template with the training's options as its defaults, for callers that pass no options.

        A date is the one that was trained, a system message that the template refuses goes before the user's text.
        """
        own = self._template or str(self._tokenizer.get_chat_template())
        asks = any(self._by_default(chat, own) != self._trained(chat) for chat in _CHATS)
        return with_defaults(own, Frame(self._thinking, asks, self.folds_system, self._in_parts, self._header))

    def _trained(self, chat: Sequence[Message]) -> str | None:
        try:
            return self._rendered(self._folded(chat))
        except TemplateRefusal:
            return None

    def _by_default(self, chat: Sequence[Message], own: str) -> str | None:
        """Return ``chat`` as rendered without the option for thinking; None where the template refuses it."""
        plain = [{"role": item.role, "content": self._content(item.content)} for item in self._folded(chat)]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    plain, chat_template=own, tokenize=False, add_generation_prompt=True
                )
            )
        except _REFUSALS:
            return None

    # --- looking at the template

    def _look(self) -> None:
        user = Message("user", _USER)
        base = self._first(user)
        try:
            kept = _SYSTEM in self._rendered([Message("system", _SYSTEM), user])
        except TemplateRefusal:
            kept = False
        self.folds_system = not kept
        self.changes_texts = not self._keeps([Message("user", _MARKUP)])
        self.drops_turns = not self._keeps(
            [Message("user", _USER), Message("assistant", _ANSWER), Message("user", _LATER)]
        )
        try:
            answered = self._rendered([user, Message("assistant", _ANSWER)], generation=False)
        except TemplateRefusal:
            answered = ""
        before, _, self.end = answered.partition(_ANSWER)
        if base == self._rendered([user], generation=False) and before.startswith(base) and before[len(base) :].strip():
            # a template that knows no generation prompt: the answer's header is taken from its transcript
            self._header = before[len(base) :]
        self.role_markers = role_markers(self._fixed(answered), self._tokenizer)

    def _keeps(self, messages: Sequence[Message]) -> bool:
        """True where every text stands in the rendering as it is, or the template does not take the messages."""
        try:
            rendered = self._rendered(messages)
        except TemplateRefusal:
            return True
        return all(message.content in rendered for message in messages)

    def _first(self, user: Message) -> str:
        """Return the rendering of one user message; find out whether contents are texts or lists of parts."""
        reason = "it leaves the user's text out"
        for self._in_parts in (False, True):
            try:
                base = self._rendered([user])
            except TemplateRefusal as refusal:
                reason = str(refusal) if not self._in_parts else reason
                continue
            if _USER in base:
                return base
        raise ModelProblem(
            f"the chat template cannot render a user message: {reason}.",
            where="model.name",
            cure="Put a working chat_template into the model folder, or remove it to train without one.",
        )

    def _fixed(self, answered: str) -> list[str]:
        """Return what the template writes around the texts of a chat, an answer in the past included."""
        chats = [
            [Message("user", _USER), Message("assistant", _ANSWER), Message("user", _LATER)],
            [Message("system", _SYSTEM), Message("user", _USER)],
        ]
        texts = [answered]
        for chat in chats:
            try:
                texts.append(self._rendered(self._folded(chat), generation=False))
            except TemplateRefusal:
                continue
        for stand_in in (_SYSTEM, _USER, _ANSWER, _LATER):
            texts = [piece for text in texts for piece in text.split(stand_in)]
        return [text for text in texts if text]

    # --- rendering

    def _folded(self, messages: Sequence[Message]) -> list[Message]:
        if not (self.folds_system and messages and messages[0].role == "system"):
            return list(messages)
        system, *rest = messages
        if rest and rest[0].role == "user":
            return [Message("user", f"{system.content}\n\n{rest[0].content}"), *rest[1:]]
        return [Message("user", system.content), *rest]

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self._in_parts else text

    def _rendered(self, messages: Sequence[Message], *, thinking: bool | None = None, generation: bool = True) -> str:
        plain = [
            {"role": item.role, "content": self._content(item.content)}
            | ({"reasoning_content": item.reasoning} if item.reasoning else {})
            for item in messages
        ]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    plain,
                    tokenize=False,
                    add_generation_prompt=generation,
                    enable_thinking=self._thinking if thinking is None else thinking,
                    **({"chat_template": self._template} if self.writes_date else {}),
                )
            )
        except _REFUSALS as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TemplateRefusal(clean_line(first, max_chars=200).rstrip(".")) from error


def _dated(call: re.Match[str]) -> str:
    """Return the Jinja text for a call that asks for today's date."""
    quote, layout = call.groups()
    return f"{quote}{_DATE.strftime(layout)}{quote}"
