"""Prepare a run: read the step's rows, keep the hold-out the same, encode tokens, check the disk and a resume.

Must not write anything but the hold-out's record.
"""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints import catalog
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import LoadedBatch, StepData, load_step
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import DataProblem, SettingsProblem, StorageProblem, TrainingProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.models import adapters, loading, memory, token_check
from opeddev_tui.models.causal_lm import Tokenizer
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.models.generation import choose_probes
from opeddev_tui.models.model_config import without_hub
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.models.token_rows import EncodedRows, TokenRow
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import holdout_record, manifest
from opeddev_tui.runs.groups import Group
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.training import grade_places
from opeddev_tui.training.fold_data import read_fold
from opeddev_tui.training.plan import StepPlan
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


def read_step(workspace: Workspace, settings: st.Settings, plan: StepPlan) -> StepData:
    """Return the step's batches and the hold-out; raises ``Problems`` or ``DataProblem`` if anything is wrong."""
    if plan.fold is not None:
        return read_fold(plan.fold, plan.data)
    data = load_step(workspace.root, settings, plan.data)
    return replace(data, warnings=[*data.warnings, *_same_holdout(workspace, data.holdout)])


def _same_holdout(workspace: Workspace, holdout: LoadedBatch) -> list[str]:
    """Return what a person should know of the record and of corrected grades; raises ``DataProblem`` for other rows."""
    found = holdout_record.read(workspace)
    recorded = found.holdout
    if recorded is not None and recorded.fingerprint != holdout.fingerprint:
        raise DataProblem(
            f"the hold-out is not the one that earlier runs were scored on ({recorded.rows} rows then, "
            f"{len(holdout.examples)} now).",
            where=str(holdout.batch.path),
            cure=f"Restore it, or delete {workspace.relative(workspace.holdout_record)} to begin a new comparison.",
        )
    notes = [found.damage] if found.damage else []
    versions = _versions(recorded, holdout)
    if len(versions) == 1:
        return notes
    return [
        *notes,
        f"the hold-out is version {versions.index(holdout.corrections) + 1} of {len(versions)}: corrected grades "
        f"in it: {holdout.corrected}. Losses and grades of steps that were scored on another version are not compared "
        "with this one's.",
    ]


def _versions(recorded: holdout_record.HoldoutRecord | None, holdout: LoadedBatch) -> list[str]:
    """Return the corrections of each version of the hold-out that runs were scored on, with the present one."""
    if recorded is None:
        return [holdout.corrections]
    versions = list(recorded.versions)
    return versions if holdout.corrections in versions else [*versions, holdout.corrections]


def record_holdout(workspace: Workspace, data: StepData) -> None:
    """Record the hold-out the first time a run is scored on it or a version of it; raises ``StorageProblem``.

    A damaged record is written again: ``read_step`` has compared the hold-out with that of the newest run.
    """
    found = holdout_record.read(workspace)
    versions = _versions(found.holdout, data.holdout)
    if found.holdout is None or found.damage or versions != list(found.holdout.versions):
        record: dict[str, Any] = {"fingerprint": data.holdout.fingerprint, "rows": len(data.holdout.examples)}
        if versions != [""]:
            record["versions"] = versions
        write_atomic(workspace.holdout_record, json.dumps(record, indent=1).encode())


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


def refuse_other_seeds(workspace: Workspace, group: Group, now: manifest.RunManifest) -> None:
    """Raise ``TrainingProblem`` if the run ``now`` differs from another run of its group in more than the seed."""
    for member in group.members:
        before = manifest.read(workspace.run_manifest(member.run))
        if before is None or member.run == now.run:
            continue
        training = {**before.settings.get("training", {}), "seed": now.seed}
        same_seed = replace(before, settings={**before.settings, "training": training})
        changes = manifest.differences(same_seed, now)
        if changes:
            raise TrainingProblem(
                f"the run with seed {now.seed} would differ from that with seed {member.seed} in more than the seed: "
                f"{'; '.join(changes)}.",
                cure="Undo the change, or train the step anew with all seeds: opeddev-tui train --seeds N --new.",
            )


def refuse_changes(workspace: Workspace, record: RunRecord, now: manifest.RunManifest) -> list[str]:
    """Raise ``TrainingProblem`` if ``record`` would be resumed with other data, settings, tokens or another model.

    Returns what a person should know where that cannot be told for certain.
    """
    if not record.state.events:
        raise TrainingProblem(
            f"the unfinished run {record.id} cannot be resumed: {record.state.damage}.",
            where=str(record.folder),
            cure="Start a new run: opeddev-tui train --new.",
        )
    path = workspace.run_manifest(record.id)
    before = manifest.read(path)
    if before is None:
        raise TrainingProblem(
            f"the unfinished run {record.id} has no readable manifest, so it cannot be resumed exactly.",
            where=str(path),
            cure="Start a new run: opeddev-tui train --new.",
        )
    digested = before.data.encoding is not None
    if not digested and record.state.data is not None:
        # version 0.1 kept no digest of the encoded rows; what it counted is in the journal
        counted = record.state.data
        known = manifest.EncodingRecord(rows=counted.rows, tokens=counted.tokens, loss_tokens=counted.loss_tokens)
        before = replace(before, data=replace(before.data, encoding=known))
    changes = manifest.differences(before, now)
    if changes:
        raise TrainingProblem(
            f"the unfinished run {record.id} cannot be resumed exactly: {'; '.join(changes)}.",
            cure="Undo the change to resume it, or start a new run: opeddev-tui train --new.",
        )
    # only rows that spell special tokens were encoded in another way then, and equal counts are no proof for them
    guarded = now.data.encoding.guarded if now.data.encoding is not None else 0
    if digested or not guarded:
        return []
    return [
        f"the run {record.id} was begun by an older version that kept no digest of its tokens: "
        f"{guarded} rows that spell special tokens may be encoded in another way now."
    ]
