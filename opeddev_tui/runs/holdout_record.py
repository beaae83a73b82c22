"""Remember which hold-out runs were scored on, so that no training is scored on another one unasked.

The record is a small file of the workspace. Where it is damaged, the newest run says the same.
"""

from msgspec import Struct

from opeddev_tui.files import read_record, reason_of
from opeddev_tui.runs import manifest
from opeddev_tui.runs.history import list_runs
from opeddev_tui.workspace.paths import Workspace


class HoldoutRecord(Struct, frozen=True):
    """The SHA-256 and number of the hold-out's rows; ``run``: the run that says so where the file is damaged."""

    fingerprint: str
    rows: int = 0
    run: str = ""
    # of the corrected grades of each version that runs were scored on
    versions: tuple[str, ...] = ("",)


class Recorded(Struct, frozen=True):
    """What is known of the hold-out, None if nothing is; ``damage`` is a sentence on a file that cannot be read."""

    holdout: HoldoutRecord | None = None
    damage: str = ""


def read(workspace: Workspace) -> Recorded:
    """Return the recorded hold-out; a missing file means that a new comparison begins."""
    path = workspace.holdout_record
    try:
        found = read_record(path, HoldoutRecord)
        if not found.fingerprint:
            raise ValueError("it names no hold-out")
    except FileNotFoundError:
        return Recorded()
    except (OSError, ValueError) as error:
        newest = _newest(workspace)
        instead = f"the hold-out is compared with that of run {newest.run}" if newest else "no run was scored yet"
        return Recorded(newest, f"{workspace.relative(path)} cannot be read ({reason_of(error)}): {instead}.")
    return Recorded(found)


def _newest(workspace: Workspace) -> HoldoutRecord | None:
    """Return the hold-out of the newest run, of its files where its manifest tells them."""
    for record in reversed(list_runs(workspace)):
        recorded = manifest.read(workspace.run_manifest(record.id))
        if recorded is not None and recorded.data.holdout is not None and recorded.data.holdout.fingerprint:
            return HoldoutRecord(recorded.data.holdout.fingerprint, recorded.data.holdout.rows, record.id)
        if record.state.begun.holdout_fingerprint:
            return HoldoutRecord(record.state.begun.holdout_fingerprint, record.state.begun.holdout_rows, record.id)
    return None
