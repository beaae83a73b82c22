"""Owns what a run needs before it begins: the step's rows, the frozen hold-out, tokens, the guard of a resume."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from opeddev_tui import catalog, manifest, memory, models
from opeddev_tui import events as ev
from opeddev_tui import settings as st
from opeddev_tui.batches import LoadedBatch, StepData, load_step
from opeddev_tui.chat import ChatEncoder, EncodedRows, TokenRow
from opeddev_tui.errors import DataProblem, SettingsProblem, StorageProblem, TrainingProblem
from opeddev_tui.generation import choose_probes
from opeddev_tui.history import RunRecord
from opeddev_tui.precision import resolve_precision
from opeddev_tui.rows import Example, Message
from opeddev_tui.scoring import Holdout
from opeddev_tui.steps import StepPlan
from opeddev_tui.storage import write_atomic
from opeddev_tui.workspace import Workspace


class StepTokens(Struct, frozen=True):
    """The tokenizer, the encoded rows and the hold-out."""

    tokenizer: Any
    encoder: ChatEncoder
    train: EncodedRows
    holdout: Holdout
    stats: tuple[ev.TokenStats, ...]


def read_step(workspace: Workspace, settings: st.Settings, plan: StepPlan) -> StepData:
    """Read the step's batches and the hold-out; raise ``Problems`` or ``DataProblem`` if anything is wrong."""
    data = load_step(workspace.root, settings, plan.step)
    _same_holdout(workspace, data.holdout)
    return data


def _same_holdout(workspace: Workspace, holdout: LoadedBatch) -> None:
    try:
        known = json.loads(workspace.holdout_record.read_text())
    except (FileNotFoundError, ValueError):
        return
    if known.get("fingerprint") != holdout.fingerprint:
        raise DataProblem(
            f"the hold-out is not the one that earlier runs were scored on ({known.get('rows')} rows then, "
            f"{len(holdout.examples)} now).",
            where=str(holdout.batch.path),
            cure=f"Restore it, or delete {workspace.relative(workspace.holdout_record)} to begin a new comparison.",
        )


def record_holdout(workspace: Workspace, data: StepData) -> None:
    """Freeze the hold-out's fingerprint the first time a run is scored on it."""
    if not workspace.holdout_record.exists():
        record = {"fingerprint": data.holdout.fingerprint, "rows": len(data.holdout.examples)}
        write_atomic(workspace.holdout_record, json.dumps(record, indent=1).encode())


def tokenize(source: str, settings: st.Settings, data: StepData) -> StepTokens:
    """Load the tokenizer at ``source`` and encode the step; raise ``DataProblem`` if no row fits."""
    tokenizer = models.load_tokenizer(source, settings.model)
    encoder = ChatEncoder(
        tokenizer,
        max_length=settings.data.max_length,
        min_prompt_tokens=settings.data.min_prompt_tokens,
        thinking=settings.generation.enable_thinking,
    )
    train = encoder.encode_all(data.examples)
    held = encoder.encode_all(data.holdout.examples)
    for name, encoded in (("training", train), ("hold-out", held)):
        if not encoded.rows:
            raise DataProblem(
                f"no {name} row fits into data.max_length = {settings.data.max_length} tokens.",
                cure="Raise data.max_length.",
            )
    examples = [data.holdout.examples[row.row] for row in held.rows]
    wanted = settings.generation
    pinned = _pinned(wanted.probes, data.holdout.examples, examples)
    probes = choose_probes(examples, wanted.num_probes, wanted.probe_seed, pinned)
    holdout = Holdout(examples, held.rows, probes, own_prompts(wanted.prompts, examples))
    return StepTokens(tokenizer, encoder, train, holdout, _stats(data, train))


def _pinned(wanted: Sequence[str], holdout: Sequence[Example], fitting: Sequence[Example]) -> list[int]:
    """Return where in ``fitting`` the rows are that a person pinned; raise ``SettingsProblem`` for a missing one."""
    found: list[int] = []
    for name in wanted:
        number = int(name[1:]) - 1 if name[:1] == "#" and name[1:].isdecimal() else -1
        at = next((i for i, row in enumerate(holdout) if row.id == name or i == number), None)
        if at is None or holdout[at] not in fitting:
            reason = "there is no such row" if at is None else "it does not fit data.max_length"
            raise SettingsProblem(
                f"the hold-out row {name!r} cannot be a probe prompt: {reason}.",
                where="generation.probes",
                cure="Name rows by their id, or #3 for the third row.",
            )
        found.append(fitting.index(holdout[at]))
    return found


def own_prompts(prompts: Sequence[str], holdout: Sequence[Example]) -> list[Example]:
    """Return a person's own prompts as the hold-out asks: with its system message; they have no reference."""
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


def check_room(workspace: Workspace, settings: st.Settings, source: str, tokens: StepTokens) -> ev.MemoryEstimated:
    """Return the memory the step needs; raise ``StorageProblem`` if the disk has no room for its checkpoints."""
    found = memory.estimate(
        memory.model_sizes(models.full_source(source), settings.model),
        settings,
        sixteen_bit=resolve_precision(settings.model.precision).dtype is not None,
        train=_extent(tokens.train.rows),
        holdout=_extent(tokens.holdout.rows),
        free=memory.free_memory(),
    )
    epochs = settings.training.num_train_epochs + settings.early_stop.max_extra_epochs
    # the newest ones, the best, and the one being written before an older one goes
    kept = min(epochs, settings.training.save_total_limit + 2)
    problem = catalog.disk_budget(workspace.store, found.checkpoint, kept)
    if problem is not None:
        raise StorageProblem(
            f"there is no room for this step: {problem}.",
            where=str(workspace.store),
            cure="Free some space (opeddev-tui checkpoints prune), set paths.model_store to another disk, "
            "or lora.enabled = true.",
        )
    return found


def _extent(rows: Sequence[TokenRow]) -> memory.Rows:
    return memory.Rows(len(rows), max(row.length for row in rows), max(len(row.completion) for row in rows))


def refuse_changes(workspace: Workspace, record: RunRecord, now: manifest.RunManifest) -> None:
    """Raise ``TrainingProblem`` if resuming ``record`` would train something else than it began."""
    path = workspace.run_manifest(record.id)
    before = manifest.read(path)
    if before is None:
        raise TrainingProblem(
            f"the unfinished run {record.id} has no manifest, so it cannot be resumed exactly.",
            where=str(path),
            cure="Start a new run: train --new.",
        )
    changes = manifest.differences(before, now)
    if changes:
        raise TrainingProblem(
            f"the unfinished run {record.id} cannot be resumed exactly: {'; '.join(changes)}.",
            cure="Undo the change to resume it, or start a new run: train --new.",
        )
