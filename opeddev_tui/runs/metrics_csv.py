"""Write the metrics table of a step: one row per epoch."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from opeddev_tui.files import write_atomic
from opeddev_tui.runs.state import RunState

COLUMNS = ("step", "epoch", "train_loss", "val_loss", "samples_per_second", "timestamp")


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
