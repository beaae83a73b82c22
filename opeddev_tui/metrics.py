"""Owns the metrics table of a step: one row an epoch, written from the run's events."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from opeddev_tui.state import RunState
from opeddev_tui.storage import write_atomic

COLUMNS = ("step", "epoch", "train_loss", "val_loss", "samples_per_second", "timestamp")


def write_metrics(path: Path, state: RunState) -> None:
    """Write the table of the run in ``state``; losses in nats a token, times in UTC (ISO 8601)."""
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
