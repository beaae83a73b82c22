"""Remember which hold-out runs were scored on, so that no training is scored on another one unasked.

The record is a small file of the workspace. Where it is damaged, the newest run says the same.
"""

from msgspec import Struct

from opeddev_tui.files import read_record, reason_of
from opeddev_tui.runs import manifest
from opeddev_tui.runs.history import RunRecord, list_runs
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
    """Return the hold-out of the newest run, with all versions of it that runs were scored on."""
    records = list_runs(workspace)
    held = [(record, _of_files(workspace, record)) for record in records]
    known = [(record, item) for record, item in held if item.fingerprint]
    if not known:
        return None
    newest, item = known[-1]
    versions = tuple(dict.fromkeys(other.corrections for _, other in known if other.fingerprint == item.fingerprint))
    return HoldoutRecord(item.fingerprint, item.rows, newest.id, versions)


def _of_files(workspace: Workspace, record: RunRecord) -> manifest.DataSet:
    """Return the hold-out of a run as its files were; its journal knows one version only."""
    recorded = manifest.read(workspace.run_manifest(record.id))
    if recorded is not None and recorded.data.holdout is not None:
        return recorded.data.holdout
    begun = record.state.begun
    return manifest.DataSet(rows=begun.holdout_rows, fingerprint=begun.holdout_fingerprint)
