"""Prepare a run: encode the step's rows as tokens, choose the probe prompts, check disk and memory. Writes nothing."""

import statistics
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from opeddev_tui.checkpoints import catalog
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import StepData
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import SettingsProblem, StorageProblem
from opeddev_tui.models import adapters, loading, memory, token_check
from opeddev_tui.models.causal_lm import Tokenizer
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.generation import choose_probes
from opeddev_tui.models.model_config import without_hub
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.models.token_rows import EncodedRows, TokenRow
from opeddev_tui.runs import events as ev
from opeddev_tui.training import grade_places
from opeddev_tui.training.scorer import Holdout
from opeddev_tui.workspace.paths import Workspace


class StepTokens(Struct, frozen=True):
    """The tokenizer, the encoded rows and the hold-out; ``stats`` has one entry per batch."""

    tokenizer: Tokenizer
    encoder: ChatEncoder
    train: EncodedRows
    holdout: Holdout
    stats: tuple[ev.TokenStats, ...]
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return the part of a manifest that tells whether rows are encoded as before."""
        rows = self.train.rows
        return {
            "digest": self.train.digest,
            "rows": len(rows),
            "tokens": sum(row.length for row in rows),
            "loss_tokens": sum(len(row.completion) for row in rows),
            "guarded": sum(self.train.in_prompts.values()) + sum(self.train.in_completions.values()),
        }


def tokenize(source: str, settings: st.Settings, data: StepData) -> StepTokens:
    """Load the tokenizer at ``source`` and encode the step's rows.

    Raises ``Problem`` for what cannot be trained, ``SettingsProblem`` for a probe prompt that cannot be used.
    """
    fitted = token_check.fit(source, settings)
    train, held, notes = token_check.encode_step(fitted, settings, data.examples, data.holdout.examples)
    train, unplaced = grade_places.place_grades(fitted.encoder, settings.grading, train, data.examples)
    examples = [data.holdout.examples[row.row] for row in held.rows]
    generation = settings.generation
    pinned = _pinned(generation.probes, data.holdout.examples, examples)
    probes = choose_probes(examples, generation.num_probes, generation.probe_seed, pinned)
    holdout = Holdout(examples, held.rows, probes, own_prompts(generation.prompts, examples))
    notes = [*filter(None, [without_hub(source, settings.model)]), *notes, *unplaced]
    return StepTokens(fitted.tokenizer, fitted.encoder, train, holdout, _stats(data, train), tuple(notes))


def _pinned(names: Sequence[str], holdout: Sequence[Example], fitting: Sequence[Example]) -> list[int]:
    """Return the positions in ``fitting`` of the rows that a person pinned as probe prompts."""
    positions: list[int] = []
    for name in names:
        number = int(name[1:]) if name[:1] == "#" and name[1:].isdecimal() else 0
        row = next((row for at, row in enumerate(holdout, 1) if row.id == name or at == number), None)
        if row is None or row not in fitting:
            reason = "there is no such row" if row is None else "it does not fit data.max_length"
            raise SettingsProblem(
                f"the hold-out row {name!r} cannot be a probe prompt: {reason}.",
                where="generation.probes",
                cure="Name rows by their id, or #3 for the third row.",
            )
        positions.append(fitting.index(row))
    return positions


def own_prompts(prompts: Sequence[str], holdout: Sequence[Example]) -> list[Example]:
    """Return a person's own prompts with the hold-out's system message; they have no reference answer."""
    first = holdout[0].prompt if holdout else ()
    system = tuple(message for message in first[:1] if message.role == "system")
    return [
        Example(
            prompt=(*system, Message("user", text)),
            completion="",
            grade=None,
            kind="own",
            where="generation.prompts",
            id=f"own {number}",
            submission=text,
        )
        for number, text in enumerate(prompts, 1)
        if text.strip()
    ]


def _stats(data: StepData, train: EncodedRows) -> tuple[ev.TokenStats, ...]:
    stats = []
    first = 0
    for batch in data.batches:
        after = first + len(batch.examples)
        rows = [row for row in train.rows if first <= row.row < after]
        lengths = sorted(row.length for row in rows) or [0]
        stats.append(
            ev.TokenStats(
                name=batch.batch.name,
                rows=len(rows),
                tokens=sum(lengths),
                loss_tokens=sum(len(row.completion) for row in rows),
                median=int(statistics.median(lengths)),
                percentile_95=lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))],
                longest=lengths[-1],
            )
        )
        first = after
    return tuple(stats)


def check_room(
    workspace: Workspace, settings: st.Settings, source: str, tokens: StepTokens, runs: int = 1
) -> ev.MemoryEstimated:
    """Return the memory the step needs; raises ``Problem`` if the disk has no room, or if adapters fit no layer.

    ``runs`` of the step, one per seed, are still to come.
    """
    empty = memory.empty_model(loading.full_source(source), settings.model)
    if settings.lora.enabled:
        adapters.check_targets(empty, settings.lora)
    estimate = memory.estimate(
        memory.sizes_of(empty),
        settings,
        sixteen_bit=resolve_precision(settings.model.precision).dtype is not None,
        train=_shape(tokens.train.rows),
        holdout=_shape(tokens.holdout.rows),
        free=memory.free_memory(settings.training.num_processes),
    )
    epochs = settings.training.num_train_epochs + settings.early_stop.max_extra_epochs
    # the newest ones, the best one, and the one that is written before an older one is deleted
    kept = min(epochs, settings.training.save_total_limit + 2) * runs
    problem = catalog.disk_budget(workspace.store, estimate.checkpoint, kept)
    if problem is not None:
        raise StorageProblem(
            f"there is no room for this step: {problem}.",
            where=str(workspace.store),
            cure="Free some space (opeddev-tui checkpoints prune), set paths.model_store to another disk, "
            "or lora.enabled = true.",
        )
    return estimate


def _shape(rows: Sequence[TokenRow]) -> memory.BatchShape:
    return memory.BatchShape(len(rows), max(row.length for row in rows), max(len(row.completion) for row in rows))
