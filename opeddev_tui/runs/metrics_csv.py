"""Name and write the metrics table of a step: one row per epoch. A table belongs to one step for ever."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from opeddev_tui.files import write_atomic
from opeddev_tui.runs.events import RunStarted
from opeddev_tui.runs.state import RunState

# bytes
_LONGEST = 150
COLUMNS = ("step", "epoch", "train_loss", "val_loss", "samples_per_second", "timestamp")


def table_name(started: RunStarted) -> str:
    """Return the file name of the run's table."""
    return started.metrics or f"metrics_step_{started.batch}.csv"


def new_table_name(batch: str, step: int, runs: Iterable[RunStarted]) -> str:
    """Return the name for a new run of ``step``: that of the batch, unless the table of another step has it."""
    owners = {table_name(run): run.step for run in runs if not run.repeats}
    # a name that every file system takes, with room for what is added
    short = batch.encode()[:_LONGEST].decode(errors="ignore")
    names = [f"metrics_step_{short}{more}.csv" for more in ("", f"_as_step_{step}")]
    return next((name for name in names if owners.get(name, step) == step), names[-1])


def write_metrics(path: Path, state: RunState) -> None:
    """Write the table of the run in ``state``; losses in nats per token, times in UTC (ISO 8601)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for epoch, row in sorted(state.epochs.items()):
        speed = row.samples_per_second
        writer.writerow(
            (
                state.begun.step,
                epoch,
                "" if row.train_loss is None else f"{row.train_loss:.6f}",
                f"{row.val_loss:.6f}",
                "" if speed is None else f"{speed:.3f}",
                datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds"),
            )
        )
    write_atomic(path, text.getvalue().encode())
