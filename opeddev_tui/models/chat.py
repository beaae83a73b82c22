"""Turn examples into token ids: chat template, guarded text, one truncation for training and generation alike.

Prompt and completion are separate token lists, so the loss mask is a matter of position and never of comparing ids.
Text from outside can spell a role marker such as ``<|im_start|>``; it is cut so that it stays text
(``markers.Guard``); everything else is tokenized as the tokenizer itself does.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from opeddev_tui.data.rows import Example, Message, capped
from opeddev_tui.errors import DataProblem, ModelProblem, Problems
from opeddev_tui.models.markers import THOUGHT, Guard, separator_for
from opeddev_tui.models.template import ChatTemplate, TemplateRefusal
from opeddev_tui.models.token_rows import CutPrompt, EncodedRows, TokenRow, without_middle

# a private-use character that stands where a marker is cut, until the text is tokenized piece by piece
_SEPARATOR = "\ue002"
# examples tokenized at a time
_TOGETHER = 256


class _Sides(Struct):
    """An example as texts to be tokenized, each in pieces; no ``prompt`` stands for the begin token."""

    prompt: list[str] | None
    completion: list[str]
    thought: bool = False
    unopened: bool = False


class ChatEncoder:
    """Encodes prompts and completions with one tokenizer, the same for training and generation.

    ``max_length`` bounds prompt and completion together, in tokens, of which ``completion_tokens`` (at most a quarter)
    are kept free of the prompt; ``positions`` is the model's context, None where it has no bound. Raises
    ``ModelProblem`` for a tokenizer or template that cannot be trained with.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        max_length: int,
        completion_tokens: int = 256,
        min_prompt_tokens: int = 16,
        thinking: bool = False,
        positions: int | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self.max_length = max_length if positions is None else min(max_length, positions)
        self._free = min(completion_tokens, self.max_length // 4)
        self.positions = positions
        self.thinking = thinking
        self._min_prompt = min_prompt_tokens
        self.template = ChatTemplate(tokenizer, thinking=thinking)
        self.guard = Guard(tokenizer, self.template.role_markers)
        self._completion_guard = Guard(tokenizer, self.template.role_markers, thoughts=True)
        self._newline = self._ids("\n")
        # SentencePiece puts a blank before every text; a piece from inside a text must not get one
        self.adds_blank = self._ids("\nx") != self._newline + self._ids("x")
        self.end_ids = self._ends()

    def encode_all(self, examples: Sequence[Example], *, weighted: bool = False) -> EncodedRows:
        """Encode ``examples``; rows whose completion does not fit are dropped and named.

        ``weighted`` is for training: rows carry their weights, and those of weight 0 are left out. Raises
        ``Problems`` with every row that the chat template refuses.
        """
        result = EncodedRows([], [], [], [], {}, {})
        problems: list[DataProblem] = []
        for start in range(0, len(examples), _TOGETHER):
            part = examples[start : start + _TOGETHER]
            sides: list[_Sides] = []
            chosen: list[int] = []
            for index, example in enumerate(part, start):
                if weighted and not example.weight:
                    result.unweighted.append(example.where)
                    continue
                try:
                    sides.append(self._sides(example))
                    chosen.append(index)
                except DataProblem as problem:
                    problems.append(problem)
            for index, (prompt, completion) in zip(chosen, self._encoded(sides), strict=True):
                self._add(result, examples[index], index, prompt, completion, weighted=weighted)
            result.thoughts += sum(side.thought for side in sides)
            result.unopened += sum(side.unopened for side in sides)
        if problems:
            raise Problems(capped(problems))
        return result

    def _add(
        self,
        result: EncodedRows,
        example: Example,
        index: int,
        prompt: list[int],
        completion: list[int],
        *,
        weighted: bool,
    ) -> None:
        for found, texts, guard in (
            (result.in_prompts, [message.content for message in example.prompt], self.guard),
            (result.in_completions, [example.completion], self._completion_guard),
        ):
            for marker in {marker for text in texts for marker in guard.spelled(text)}:
                found[marker] = found.get(marker, 0) + 1
        room = self.prompt_room(len(completion))
        if len(prompt) > room and room < self._min_prompt:
            result.dropped.append(example.where)
            return
        if len(prompt) > room:
            result.cuts.append(CutPrompt(example.where, len(prompt), room, by_completion=room < self.prompt_room()))
            prompt = without_middle(prompt, room)
        result.rows.append(TokenRow(index, prompt, completion, example.weight if weighted else 1.0))

    def prompt_room(self, completion_tokens: int = 0) -> int:
        """Return the most tokens that a prompt keeps before a completion of ``completion_tokens`` tokens.

        It is the same for all completions that fit into what is kept free for them. Were it what each leaves, the
        length of a prompt would tell that of its reference, and a grader learns it: good code gets a short feedback.
        """
        return self.max_length - max(self._free, completion_tokens)

    def encode(self, example: Example) -> tuple[list[int], list[int]]:
        """Return (prompt ids, completion ids), uncut; the completion ends with the end-of-turn token."""
        return self._encoded([self._sides(example)])[0]

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the uncut ids of ``messages`` up to where the model begins to write; raises ``DataProblem``."""
        return self._joined([self._prompt_pieces(messages, "the prompt")])[0]

    def encode_question(self, messages: Sequence[Message], new_tokens: int) -> list[int]:
        """Return the ids of a prompt without a reference, cut as in training, with room for ``new_tokens``."""
        room = self.prompt_room()
        if self.positions is not None:
            room = max(1, self._min_prompt, min(room, self.positions - new_tokens))
        ids = self.encode_prompt(messages)
        return ids if len(ids) <= room else without_middle(ids, room)

    def room_after(self, prompt_tokens: int, new_tokens: int) -> int:
        """Return how many of ``new_tokens`` may be generated after a prompt before the model's context ends."""
        # the last token generated is not read again and needs no position
        return new_tokens if self.positions is None else max(1, min(new_tokens, self.positions - prompt_tokens + 1))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated ``ids`` without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def count(self, text: str) -> int:
        """Return how many tokens ``text`` has as part of a completion."""
        return len(self.begin(text))

    def begin(self, text: str) -> list[int]:
        """Return the ids of ``text`` as the beginning of a completion, which the model may continue."""
        return self._joined([self._completion_guard.cut(text, _SEPARATOR).split(_SEPARATOR)])[0] if text else []

    # --- texts

    def _sides(self, example: Example) -> _Sides:
        if not example.prompt:
            return _Sides(None, self._completion_pieces(example.completion))
        if example.reasoning:
            return self._reasoned(example)
        begins = THOUGHT.match(example.completion.lstrip())
        thinking = True if begins and not self.thinking else None
        prompt = self._prompt_pieces(example.prompt, example.where, thinking=thinking)
        completion = example.completion
        opened = THOUGHT.fullmatch(prompt[-1].rstrip().rpartition("\n")[2])
        if opened and begins and opened.group() == begins.group():
            # the template has begun the thought already
            completion = completion.lstrip()[begins.end() :].removeprefix("\n")
        unopened = bool(opened) and not begins and "/" not in opened.group()  # type: ignore[union-attr]
        return _Sides(prompt, self._completion_pieces(completion), thinking is not None, unopened)

    def _reasoned(self, example: Example) -> _Sides:
        """Return the sides of a row with ``reasoning_content``: its template says how a thought is written."""
        if not self.template.knows_reasoning:
            raise DataProblem(
                "the row has reasoning_content, which the model's chat template does not know.",
                where=example.where,
                cure="Write the thought into the content as the model would, or take it out.",
            )
        texts = [example.completion, example.reasoning, *(text for item in example.prompt for text in _texts(item))]
        separator = _free_separator(texts)
        cut = self._completion_guard.cut
        messages = [self._cut_message(item, separator) for item in example.prompt]
        answer = Message("assistant", cut(example.completion, separator), cut(example.reasoning, separator))
        prompt = self._prompt_pieces(example.prompt, example.where, thinking=True)
        try:
            completion = self.template.answer(messages, answer)
        except TemplateRefusal as refusal:
            raise _refused(example.where, refusal) from refusal
        return _Sides(prompt, completion.split(separator), thought=not self.thinking)

    def _prompt_pieces(self, messages: Sequence[Message], where: str, *, thinking: bool | None = None) -> list[str]:
        separator = _free_separator(text for message in messages for text in _texts(message))
        if any(message.reasoning for message in messages) and not self.template.knows_reasoning:
            raise DataProblem(
                "a message has reasoning_content, which the model's chat template does not know.",
                where=where,
                cure="Write the thought into the content as the model would, or take it out.",
            )
        try:
            text = self.template.prompt([self._cut_message(item, separator) for item in messages], thinking=thinking)
        except TemplateRefusal as refusal:
            raise _refused(where, refusal) from refusal
        return text.split(separator)

    def _cut_message(self, message: Message, separator: str) -> Message:
        cut = self.guard.cut
        return Message(message.role, cut(message.content, separator), cut(message.reasoning, separator))

    def _completion_pieces(self, text: str) -> list[str]:
        separator = _free_separator([text])
        return self._completion_guard.cut(text, separator).split(separator)

    # --- ids

    def _encoded(self, sides: Sequence[_Sides]) -> list[tuple[list[int], list[int]]]:
        prompts = iter(self._joined([side.prompt for side in sides if side.prompt is not None]))
        completions = self._joined([side.completion for side in sides])
        return [
            (next(prompts) if side.prompt is not None else self._start_ids(), [*completion, self.end_ids[0]])
            for side, completion in zip(sides, completions, strict=True)
        ]

    def _joined(self, texts: Sequence[Sequence[str]]) -> list[list[int]]:
        """Return the ids of each text, given in pieces that are tokenized by themselves."""
        pieces = [
            f"\n{piece}" if number and self.adds_blank else piece for text in texts for number, piece in enumerate(text)
        ]
        if not pieces:
            return []
        every = iter(self._tokenizer(pieces, add_special_tokens=False, return_attention_mask=False)["input_ids"])
        joined: list[list[int]] = []
        for text in texts:
            ids: list[int] = []
            for number, piece in enumerate(text):
                found = list(next(every))
                if number and self.adds_blank:
                    known = found[: len(self._newline)] == self._newline
                    found = found[len(self._newline) :] if known else self._ids(piece)
                ids += found
            joined.append(ids)
        return joined

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _start_ids(self) -> list[int]:
        """Return what stands before plain text: the begin token, or the end-of-text token in its place."""
        bos = self._tokenizer.bos_token_id
        return [bos if bos is not None else self.end_ids[-1]]

    def _ends(self) -> list[int]:
        """Return the ids that end a completion: the template's end of turn first, then end of text."""
        ends: list[int] = []
        after = self._ids(self.template.end.strip())
        # an end in plain letters would stop every text at its first letter
        if after and after[0] in set(self._tokenizer.get_added_vocab().values()) | set(self._tokenizer.all_special_ids):
            ends.append(after[0])
        if self._tokenizer.eos_token_id is not None:
            ends.append(int(self._tokenizer.eos_token_id))
        if not ends:
            raise ModelProblem(
                "the tokenizer has no end-of-text token, and its chat template writes none after an answer.",
                where="model.name",
                cure="Set eos_token in tokenizer_config.json, or take the model's own tokenizer.",
            )
        return list(dict.fromkeys(ends))


def _texts(message: Message) -> tuple[str, str]:
    return message.content, message.reasoning


def _free_separator(texts: Iterable[str]) -> str:
    every = list(texts)
    return separator_for(every) if any(_SEPARATOR in text for text in every) else _SEPARATOR


def _refused(where: str, refusal: TemplateRefusal) -> DataProblem:
    return DataProblem(
        f"the model's chat template does not take these messages: {refusal}.",
        where=where,
        cure="Bring the messages into the order of roles that the template takes, or take another model.",
    )
