"""Read a step's rows with one fold as the hold-out; the real hold-out is never opened here."""

from collections.abc import Sequence

from msgspec.structs import replace

from opeddev_tui.data.batches import Batch, LoadedBatch, StepData, load_rows
from opeddev_tui.data.folds import folds_of
from opeddev_tui.data.rows import fingerprint
from opeddev_tui.training.plan import Fold


def read_fold(fold: Fold, chosen: Sequence[Batch]) -> StepData:
    """Return the rows outside ``fold`` as the step's batches, and those in it as its hold-out; raises ``Problem``."""
    loaded, warnings = load_rows(fold.root, fold.settings, chosen)
    examples = [example for batch in loaded for example in batch.examples]
    places = folds_of(examples, fold.of, fold.seed, fold.settings.data.near_duplicate)
    batches: list[LoadedBatch] = []
    first = 0
    for batch in loaded:
        own = places[first : first + len(batch.examples)]
        first += len(batch.examples)
        rows = [row for row, place in zip(batch.examples, own, strict=True) if place != fold.number]
        batches.append(replace(batch, examples=rows, fingerprint=fingerprint(rows), identity=""))
    held = [row for row, place in zip(examples, places, strict=True) if place == fold.number]
    name = f"fold {fold.number + 1} of {fold.of}"
    holdout = LoadedBatch(Batch(name, -1, loaded[0].batch.path), loaded[0].schema, held, fingerprint(held), [])
    return StepData(batches, holdout, warnings)
