"""Data sets of the Hugging Face Hub as a source: ``hub:owner/name[/folder][@revision][:split]``.

Their files are fetched once, at a commit that is written down in the workspace, and then read like local ones; with
the files in the cache no network is asked. Data set scripts are never run.
"""

import json
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from opeddev_tui.config.settings import HUB_PREFIX
from opeddev_tui.data import split_names
from opeddev_tui.data.folder_files import SUFFIXES
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.files import write_atomic
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import hub_record

_SOURCE = re.compile(r"hub:([\w.-]+/[\w.-]+)((?:/[\w.-]+)*)(?:@([\w./-]+))?(?::([\w.-]+))?")
# more than this is seldom meant for fine-tuning a small model, in bytes
_MOST_FETCHED = 5 << 30
_PATTERNS = [f"*{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz")]


class HubSource(Struct, frozen=True):
    """A data set on the hub; ``folder`` is a part of it, ``split`` the one that is wanted, both may be empty."""

    repository: str
    folder: str
    revision: str
    split: str

    @property
    def key(self) -> str:
        """The name under which its commit is written down."""
        return f"{self.repository}{'/' if self.folder else ''}{self.folder}@{self.revision}"

    @property
    def patterns(self) -> list[str]:
        """Which files are fetched."""
        return [f"{self.folder}/{pattern}" if self.folder else pattern for pattern in _PATTERNS]


def is_hub(text: str) -> bool:
    """Say whether a path of the settings names a data set of the hub."""
    return text.startswith(HUB_PREFIX)


def parse(text: str) -> HubSource:
    """Return the source that ``text`` names; raise ``SettingsProblem`` if it names none."""
    match = _SOURCE.fullmatch(text)
    if match is None:
        cure = "Write hub:owner/name, with /folder, @revision and :split where needed."
        raise SettingsProblem(f"{clean_line(text)} names no data set of the hub.", where="paths", cure=cure)
    repository, folder, revision, split = match.groups()
    return HubSource(
        repository, folder.strip("/"), revision or "main", split_names.split_of(split or "") or split or ""
    )


def cached(workspace: Path, source: HubSource) -> Path | None:
    """Return where the files of ``source`` lie in the cache, ``None`` where they are not all there."""
    known = _recorded(workspace).get(source.key, {})
    folder = _in_cache(source, known.get("commit", source.revision))
    files = known.get("files", {})
    if folder is None or any(not (folder / name).is_file() for name in files):
        return None
    place = folder / source.folder
    return place if place.is_dir() else None


def fetch(workspace: Path, source: HubSource) -> Path:
    """Return where the files of ``source`` lie, fetched now if they are not in the cache; raise ``DataProblem``."""
    if (place := cached(workspace, source)) is None:
        _download(workspace, source)
        place = cached(workspace, source)
    if place is None:
        raise DataProblem(
            "was fetched, but holds no data file.", where=f"{HUB_PREFIX}{source.key}", cure=_known_files()
        )
    _one_set(place, source)
    return place


def _known_files() -> str:
    return f"Files that are read end in {', '.join(SUFFIXES)}; data set scripts are never run."


def _recorded(workspace: Path) -> dict[str, Any]:
    try:
        record = json.loads(hub_record(workspace).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _in_cache(source: HubSource, commit: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            source.repository,
            repo_type="dataset",
            revision=commit,
            allow_patterns=source.patterns,
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
    return Path(found)


def _download(workspace: Path, source: HubSource) -> None:
    """Fetch the data files at one commit and write the commit down; raise ``DataProblem``."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # the errors of the HTTP library that the hub's client is built on, whichever that is, are no OSErrors
    bases = tuple(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception))
    failures: tuple[type[Exception], ...] = (*bases, OSError, RuntimeError, ValueError, HFValidationError)
    record = _recorded(workspace)
    wanted = record.get(source.key, {}).get("commit", source.revision)
    try:
        info = HfApi().dataset_info(source.repository, revision=wanted, files_metadata=True)
        sizes = {item.rfilename: item.size or 0 for item in info.siblings or [] if _is_wanted(item.rfilename, source)}
        _check_size(source, sizes)
        snapshot_download(
            source.repository, repo_type="dataset", revision=info.sha, allow_patterns=source.patterns, max_workers=4
        )
    except failures as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        cure = (
            "Check the name and the network; a closed data set needs hf auth login. Without a network only what was "
            "fetched before can be read."
        )
        reason = clean_line(lines[0], max_chars=160).rstrip(".")
        raise DataProblem(f"cannot be fetched: {reason}.", where=f"{HUB_PREFIX}{source.key}", cure=cure) from None
    record[source.key] = {"commit": info.sha, "files": sizes}
    write_atomic(hub_record(workspace), json.dumps(record, indent=1).encode())


def _is_wanted(name: str, source: HubSource) -> bool:
    inside = not source.folder or name.startswith(f"{source.folder}/")
    return inside and name.removesuffix(".gz").endswith(tuple(SUFFIXES))


def _check_size(source: HubSource, sizes: dict[str, int]) -> None:
    where = f"{HUB_PREFIX}{source.key}"
    if not sizes:
        raise DataProblem("has no data file.", where=where, cure=_known_files())
    if (size := sum(sizes.values())) > _MOST_FETCHED:
        folders = sorted({str(Path(name).parent) for name in sizes})
        cure = f"Name one of its folders: {', '.join(f'hub:{source.repository}/{name}' for name in folders[:3])}."
        raise DataProblem(f"holds {size >> 30} GiB of data files.", where=where, cure=cure)


def _one_set(place: Path, source: HubSource) -> None:
    """Refuse a repository of several sets (folders that name no split) rather than mixing their rows."""
    folders = [item.name for item in sorted(place.iterdir()) if item.is_dir() and not item.name.startswith(".")]
    sets = [name for name in folders if name != "data" and not split_names.split_of(name)]
    if len(sets) > 1:
        raise DataProblem(
            f"holds several sets: {clean_line(', '.join(sets[:8]))}.",
            where=f"{HUB_PREFIX}{source.key}",
            cure=f"Name one: hub:{source.repository}/{_joined(source.folder, sets[0])}.",
        )


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
