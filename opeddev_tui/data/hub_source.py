"""Data sets of the Hugging Face Hub as a source: ``hub:owner/name[/folder][@revision][:split]``.

Files are fetched once, at a commit that is recorded in the workspace, and then read like local ones; once they are in
the cache, the network is not used. Data set scripts are never run.
"""

import re
from fnmatch import fnmatch
from pathlib import Path

import msgspec
from msgspec import Struct

from opeddev_tui.config.settings import HUB_PREFIX
from opeddev_tui.data import hub_reach, split_names
from opeddev_tui.data.folder_files import SUFFIXES
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.files import changing, read_record, write_atomic
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import hub_record

_SOURCE = re.compile(r"hub:([\w.-]+/[\w.-]+)((?:/[\w.-]+)*)(?:@([\w./-]+))?(?::([\w.-]+))?")
# bytes; more is hardly meant for fine-tuning a small model
_MOST_FETCHED = 5 << 30
_KNOWN_FILES = f"Files that are read end in {', '.join(SUFFIXES)}; data set scripts are never run."
_PATTERNS = [f"*{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz")]


class HubSource(Struct, frozen=True):
    """A data set on the hub; ``folder`` is a part of it, ``split`` one of its splits, both may be empty."""

    repository: str
    folder: str
    revision: str
    split: str

    @property
    def key(self) -> str:
        """The name under which its commit is recorded."""
        return f"{_joined(self.repository, self.folder)}@{self.revision}"

    @property
    def patterns(self) -> list[str]:
        """Patterns of the files to fetch."""
        return [_joined(self.folder, pattern) for pattern in _PATTERNS]


def is_hub(text: str) -> bool:
    """True if a path of the settings names a data set of the hub."""
    return text.startswith(HUB_PREFIX)


def parse(text: str) -> HubSource:
    """Return the source that ``text`` names; raises ``SettingsProblem`` if it names none."""
    match = _SOURCE.fullmatch(text)
    if match is None:
        cure = "Write hub:owner/name, with /folder, @revision and :split where needed."
        raise SettingsProblem(f"{clean_line(text)} names no data set of the hub.", where="paths", cure=cure)
    repository, folder, revision, split = match.groups()
    split = split_names.split_of(split or "") or split or ""
    return HubSource(repository, folder.strip("/"), revision or "main", split)


def cached(workspace: Path, source: HubSource) -> Path | None:
    """Return the folder of the files in the cache, None if one is missing."""
    record = _recorded(workspace).get(source.key)
    folder = _in_cache(source, record.commit if record is not None else source.revision)
    if folder is None or any(not (folder / name).is_file() for name in (record.files if record is not None else ())):
        return None
    place = folder / source.folder
    return place if place.is_dir() else None


def fetch(workspace: Path, source: HubSource) -> Path:
    """Return the folder of the files, fetched now if they are not in the cache; raises ``DataProblem``."""
    if (place := cached(workspace, source)) is None:
        _download(workspace, source)
        place = cached(workspace, source)
    if place is None:
        raise _problem(source, "was fetched, but holds no data file.", _KNOWN_FILES)
    _one_set(place, source)
    return place


def _problem(source: HubSource, message: str, cure: str) -> DataProblem:
    return DataProblem(message, where=f"{HUB_PREFIX}{source.key}", cure=cure)


class _Fetched(Struct, frozen=True):
    """What was fetched of one source: the commit, and each file with its size in bytes."""

    commit: str
    files: dict[str, int] = {}


def _recorded(workspace: Path) -> dict[str, _Fetched]:
    try:
        return read_record(hub_record(workspace), dict[str, _Fetched])
    except (OSError, ValueError):
        return {}


def _in_cache(source: HubSource, commit: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        patterns = source.patterns
        folder = snapshot_download(
            source.repository, repo_type="dataset", revision=commit, allow_patterns=patterns, local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
    return Path(folder)


def _download(workspace: Path, source: HubSource) -> None:
    """Fetch the data files at one commit and record it; raises ``DataProblem``."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # errors of the HTTP library below the hub's client, whichever it is, need not be OSErrors
    bases = tuple(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception))
    failures: tuple[type[Exception], ...] = (*bases, OSError, RuntimeError, ValueError, HFValidationError)
    if reason := hub_reach.why_out_of_reach():
        cure = "Check the network. Without one only what was fetched before can be read."
        raise _problem(source, f"cannot be fetched: the hub cannot be reached ({reason}).", cure)
    known = _recorded(workspace).get(source.key)
    revision = known.commit if known is not None else source.revision
    try:
        info = HfApi().dataset_info(source.repository, revision=revision, files_metadata=True)
        files = {item.rfilename: item.size or 0 for item in info.siblings or []}
        sizes = {name: size for name, size in files.items() if any(fnmatch(name, one) for one in source.patterns)}
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
        raise _problem(source, f"cannot be fetched: {clean_line(lines[0], max_chars=160).rstrip('.')}.", cure) from None
    with changing(hub_record(workspace)):
        record = {**_recorded(workspace), source.key: _Fetched(info.sha or "", sizes)}
        write_atomic(hub_record(workspace), msgspec.json.format(msgspec.json.encode(record), indent=1))


def _check_size(source: HubSource, sizes: dict[str, int]) -> None:
    if not sizes:
        raise _problem(source, "has no data file.", _KNOWN_FILES)
    if (size := sum(sizes.values())) > _MOST_FETCHED:
        folders = sorted({str(Path(name).parent) for name in sizes})
        cure = f"Name one of its folders: {', '.join(f'hub:{source.repository}/{name}' for name in folders[:3])}."
        raise _problem(source, f"holds {size >> 30} GiB of data files.", cure)


def _one_set(place: Path, source: HubSource) -> None:
    """Refuse a repository of several sets (folders that name no split) rather than mixing their rows."""
    folders = [item.name for item in sorted(place.iterdir()) if item.is_dir() and not item.name.startswith(".")]
    sets = [name for name in folders if name != "data" and not split_names.split_of(name)]
    if len(sets) > 1:
        cure = f"Name one: hub:{_joined(source.repository, source.folder, sets[0])}."
        raise _problem(source, f"holds several sets: {clean_line(', '.join(sets[:8]))}.", cure)


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)
