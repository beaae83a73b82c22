"""Check before anything is trained that tokenizer, model configuration and rows fit together.

The weights are not read. ``check`` and ``train`` both ask here, so they say the same.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import DataReport
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.errors import DataProblem, ModelProblem, Problem, Problems
from opeddev_tui.models import adapters, loading, memory
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.kept_texts import lost_of_texts
from opeddev_tui.models.model_config import ModelConfig, is_out_of_reach, load_config, without_hub
from opeddev_tui.models.template import ChatTemplate
from opeddev_tui.models.token_rows import EncodedRows, TokenRow
from opeddev_tui.models.weight_files import check_weights
from opeddev_tui.text import clean_line


class Fitted(Struct, frozen=True):
    """A tokenizer, its encoder, and the configuration of the model that reads the tokens."""

    tokenizer: Any
    encoder: ChatEncoder
    config: ModelConfig


class Lengths(Struct, frozen=True):
    """Tokens per row, of training and hold-out rows together; ``most`` is what a row may have."""

    median: int
    longest: int
    most: int


class TokenReport(Struct, frozen=True):
    """What the check of the tokens found: what cannot be trained, what a person should know, how long the rows are."""

    problems: list[Problem]
    notes: list[str]
    lengths: Lengths | None = None

    @property
    def figures(self) -> str:
        """The lengths as a sentence; empty where nothing was encoded."""
        if self.lengths is None:
            return ""
        shown = self.lengths
        return f"tokens per row: median {shown.median}, longest {shown.longest}, at most {shown.most}."


def fit(source: str, settings: st.Settings) -> Fitted:
    """Return the encoder for the model at ``source``; raises ``ModelProblem`` for what cannot be trained."""
    config = load_config(loading.full_source(source), settings.model)
    check_weights(loading.full_source(source), settings.model)
    tokenizer = loading.load_tokenizer(source, settings.model)
    encoder = ChatEncoder(
        tokenizer,
        max_length=settings.data.max_length,
        completion_tokens=settings.data.completion_tokens,
        min_prompt_tokens=settings.data.min_prompt_tokens,
        thinking=settings.generation.enable_thinking,
        positions=config.positions,
    )
    _within_embedding([int(tokenizer.pad_token_id), *encoder.end_ids], "the tokenizer's padding or end token", config)
    return Fitted(tokenizer, encoder, config)


def encode_step(
    fitted: Fitted, settings: st.Settings, train: Sequence[Example], holdout: Sequence[Example]
) -> tuple[EncodedRows, EncodedRows, list[str]]:
    """Encode both sets as training does and return them with what a person should know.

    Raises ``Problems`` for rows that the chat template refuses, ``ModelProblem`` for ids beyond the embedding and
    ``DataProblem`` where no row is left.
    """
    problems: list[Problem] = []
    encoded: list[EncodedRows] = []
    for examples, weighted in ((train, True), (holdout, False)):
        try:
            encoded.append(fitted.encoder.encode_all(examples, weighted=weighted))
        except Problems as found:
            problems += found.problems
    if problems:
        raise Problems(problems)
    for name, rows in zip(("training", "hold-out"), encoded, strict=True):
        if rows.rows:
            _within_embedding([max(max(row.prompt + row.completion) for row in rows.rows)], "a token", fitted.config)
        elif rows.unweighted and not rows.dropped:
            raise DataProblem(f"every {name} row has the weight 0.", cure="Give rows to train on a weight above 0.")
        else:
            raise _nothing_fits(name, fitted.encoder, settings)
    completions = [
        (sets[row.row], row) for sets, rows in zip((train, holdout), encoded, strict=True) for row in rows.rows
    ]
    return encoded[0], encoded[1], notes_of(fitted, settings, encoded[0], encoded[1], completions)


def check(root: Path, settings: st.Settings, data: DataReport) -> TokenReport:
    """Encode all rows of a workspace as training will; nothing is raised and no weights are read."""
    try:
        source = loading.source_of(root, settings.model.name)
    except Problem as problem:
        return TokenReport([problem], [])
    try:
        fitted = fit(source, settings)
        if settings.lora.enabled:
            adapters.check_targets(memory.empty_model(loading.full_source(source), settings.model), settings.lora)
    except Problem as problem:
        if not Path(source).is_dir() and is_out_of_reach(problem.__cause__):
            nowhere = f"the tokenizer of {source} is neither in the cache nor within reach of the network"
            missing = without_hub(source, settings.model).rstrip(".") or nowhere
            return TokenReport([], [f"{missing}, so rows were checked without tokens."])
        return TokenReport([problem], [])
    train = [example for batch in data.batches for example in batch.examples]
    held = data.holdout.examples if data.holdout is not None else []
    if not train or not held:
        return TokenReport([], ["there are no rows to tokenize yet."])
    try:
        rows, held_rows, notes = encode_step(fitted, settings, train, held)
    except Problems as found:
        return TokenReport(list(found.problems), [])
    except Problem as problem:
        return TokenReport([problem], [])
    lengths = sorted(row.length for row in (*rows.rows, *held_rows.rows))
    return TokenReport(
        [],
        [*filter(None, [without_hub(source, settings.model)]), *notes],
        Lengths(lengths[len(lengths) // 2], lengths[-1], fitted.encoder.max_length),
    )


def _nothing_fits(name: str, encoder: ChatEncoder, settings: st.Settings) -> DataProblem:
    if encoder.max_length < settings.data.max_length:
        return DataProblem(
            f"no {name} row fits into the model's context of {encoder.max_length} tokens.",
            cure="Shorten the rows, or take a model with a longer context.",
        )
    return DataProblem(
        f"no {name} row fits into data.max_length = {settings.data.max_length} tokens.", cure="Raise data.max_length."
    )


def _within_embedding(ids: Sequence[int], what: str, config: ModelConfig) -> None:
    highest = max(ids)
    if highest >= config.vocabulary:
        raise ModelProblem(
            f"{what} has the id {highest}, but the model's embedding has {config.vocabulary} rows.",
            where="model.name",
            cure="Take the model's own tokenizer, or resize the model's embedding to the tokenizer and save it.",
        )


# --- notes


def notes_of(
    fitted: Fitted,
    settings: st.Settings,
    train: EncodedRows,
    holdout: EncodedRows,
    completions: Sequence[tuple[Example, TokenRow]],
) -> list[str]:
    """Return, one sentence each, what a person should know of the tokens before they are trained on."""
    return [
        *_of_model(fitted, settings),
        *_of_template(fitted.encoder.template, completions),
        *lost_of_texts(fitted.tokenizer, completions),
        *_of_lengths("training", train, fitted.encoder),
        *_of_lengths("hold-out", holdout, fitted.encoder),
        *_of_markers(train, holdout),
        *_of_thoughts(train, holdout),
        *_of_grades(fitted.encoder, settings.grading, completions),
    ]


def _of_model(fitted: Fitted, settings: st.Settings) -> list[str]:
    notes = []
    if fitted.encoder.max_length < settings.data.max_length:
        notes.append(
            f"the model's context of {fitted.encoder.max_length} tokens is shorter than data.max_length = "
            f"{settings.data.max_length}: rows are cut to it."
        )
    if not fitted.config.whole:
        notes.append("the model is multimodal: its text part is trained, and checkpoints hold the text part alone.")
    return notes


def _of_template(template: ChatTemplate, completions: Sequence[tuple[Example, TokenRow]]) -> list[str]:
    notes = []
    if template.folds_system:
        notes.append("the model's chat template takes no system message: it is put before the user's text.")
    if template.writes_date:
        notes.append(
            f"the model's chat template writes today's date: training writes {template.date} instead, "
            "so that runs can be resumed and repeated."
        )
    if template.changes_texts:
        notes.append("the model's chat template changes what is in a message: < or & or line breaks arrive as others.")
    several = sum(sum(message.role != "system" for message in example.prompt) > 1 for example, _ in completions)
    if template.drops_turns and several:
        notes.append(
            f"the model's chat template leaves earlier messages out, and {_rows(several, '', 'has', 'have')} some: "
            "the model does not read them."
        )
    return notes


def _of_lengths(name: str, rows: EncodedRows, encoder: ChatEncoder) -> list[str]:
    notes = []
    if rows.cuts:
        most = max(rows.cuts, key=lambda cut: cut.tokens - cut.kept)
        free = encoder.max_length - encoder.prompt_room()
        notes.append(
            f"{_rows(len(rows.cuts), name, 'loses', 'lose')} the middle of the prompt to fit into "
            f"{encoder.max_length} tokens, {free} of them free for the completion "
            f"(at most {most.tokens - most.kept} of {most.tokens} tokens, {most.where})."
        )
    telling = [cut.where for cut in rows.cuts if cut.by_completion]
    if telling:
        notes.append(
            f"{_rows(len(telling), name, 'has', 'have')} a completion longer than what is kept free for it, so that "
            f"how far the prompt is cut tells how long it is ({_places(telling)}): raise data.completion_tokens."
        )
    if rows.dropped:
        notes.append(
            f"{_rows(len(rows.dropped), name, 'is', 'are')} left out, because the completion leaves too little of "
            f"{encoder.max_length} tokens for the prompt: {_places(rows.dropped)}."
        )
    if rows.unweighted:
        count = _rows(len(rows.unweighted), name, "has", "have")
        notes.append(f"{count} the weight 0 and will not be trained on: {_places(rows.unweighted)}.")
    return notes


def _of_markers(train: EncodedRows, holdout: EncodedRows) -> list[str]:
    notes = []
    for side, consequence in (
        ("in_prompts", "they stay text"),
        ("in_completions", "they are trained on as text, and the end of an answer is added anyway"),
    ):
        counts: dict[str, int] = {}
        for rows in (train, holdout):
            for marker, count in getattr(rows, side).items():
                counts[marker] = counts.get(marker, 0) + count
        if counts:
            shown = ", ".join(f"{clean_line(marker, max_chars=40)} ({count})" for marker, count in counts.items())
            where = "prompts" if side == "in_prompts" else "completions"
            notes.append(f"rows whose {where} spell special tokens: {shown}; {consequence}.")
    return notes


def _of_thoughts(train: EncodedRows, holdout: EncodedRows) -> list[str]:
    notes = []
    if count := train.thoughts + holdout.thoughts:
        notes.append(
            f"{_rows(count, '', 'begins', 'begin')} the completion with a thought: such prompts leave the thought to "
            "the model, others do not. Set generation.enable_thinking = true to ask all of them, try-outs and exports "
            "that way."
        )
    if count := train.unopened + holdout.unopened:
        notes.append(
            f"the model's chat template begins a thought in every prompt, and {_rows(count, '', 'has', 'have')} a "
            "completion without one."
        )
    return notes


def _of_grades(encoder: ChatEncoder, grading: st.Grading, completions: Sequence[tuple[Example, TokenRow]]) -> list[str]:
    """Say how many grades stand further behind than ``grading.max_new_tokens`` generates."""
    if not grading.evaluate:
        return []
    graded = [(example, row) for example, row in completions if example.grade is not None]
    late = [
        needed
        for example, row in graded
        # the end-of-turn token is not needed
        if len(row.completion) - 1 > grading.max_new_tokens
        and (needed := _tokens_to_grade(encoder, grading, example, row)) > grading.max_new_tokens
    ]
    if not late:
        return []
    return [
        f"{len(late)} of {len(graded)} completions state the grade later than grading.max_new_tokens = "
        f"{grading.max_new_tokens} tokens into the completion, where it is not read: set it to {max(late)} or more."
    ]


def _tokens_to_grade(encoder: ChatEncoder, grading: st.Grading, example: Example, row: TokenRow) -> int:
    """Return how many tokens of the completion state its grade; 0 where the pattern does not read it."""
    match = re.search(grading.pattern, example.completion)
    if match is None or parse_grade(example.completion, grading) != example.grade:
        return 0
    return len(row.completion) - 1 - encoder.count(example.completion[match.end() :])


def _rows(count: int, name: str, singular: str, plural: str) -> str:
    """Return "3 training rows have" or "1 row has"."""
    return f"{count} {name}{' ' if name else ''}{'row' if count == 1 else 'rows'} {singular if count == 1 else plural}"


def _places(places: Sequence[str]) -> str:
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(places[:3]) + more
