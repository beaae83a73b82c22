"""The manifest of a run: everything needed to repeat it, and the differences that forbid resuming it.

It is written as ``manifest.json`` beside the journal and as ``last_run_args.json``. It holds no secrets: settings have
none by design, and arguments whose names look like one are masked.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opeddev_tui import __version__
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.config.settings import Settings
from opeddev_tui.files import read_record

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "peft", "tokenizers", "textual", "numpy", "safetensors")
# settings that change no weights: a run may be resumed with others
_HARMLESS = frozenset(
    {
        "training.logging_steps",
        "training.save_total_limit",
        "training.start_from",
        "training.per_device_eval_batch_size",
        "training.rank_timeout_minutes",
        "grading.evaluate",
        "grading.step_head",
        "grading.max_new_tokens",
        "grading.pattern",
        "grading.area_pattern",
    }
)
_GUARDED_SECTIONS = ("model", "data", "training", "lora", "grading")
_GUARDED_EXTRA = ("early_stop.max_extra_epochs", "generation.enable_thinking")
_SECRET = re.compile(r"token|secret|passw|api_?key|credential", re.IGNORECASE)


class DataSet(Struct, frozen=True):
    """One batch, or the hold-out: its place, its form of rows and the SHA-256 of its rows.

    ``fingerprint`` is that of the rows as the files say with the settings of the run, ``identity`` of the rows as a
    person wrote them; ``corrections`` is the SHA-256 of the ``corrected`` grades that lay over them, empty for none.
    """

    name: str = ""
    path: str = ""
    rows: int = 0
    fingerprint: str = ""
    schema: str = ""
    corrections: str = ""
    corrected: int = 0
    identity: str = ""


class EncodingRecord(Struct, frozen=True):
    """What the training rows are as tokens; ``guarded`` counts the spellings of special tokens that stay text.

    ``digest`` is the SHA-256 of ids and weights; it is empty where only the counts are known.
    """

    digest: str = ""
    rows: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    guarded: int = 0


class DataRecord(Struct, frozen=True):
    """The data that a run trains on and is scored on; version 0.1 kept no ``encoding``."""

    fingerprint: str = ""
    batches: list[DataSet] = []
    holdout: DataSet | None = None
    encoding: EncodingRecord | None = None


class ModelRecord(Struct, frozen=True):
    """The model a run starts from: name in the settings, source, SHA-256 of its files, commit on the hub."""

    name: str = ""
    source: str = ""
    files: dict[str, str] = {}
    revision: str = ""


class RunManifest(Struct, frozen=True, kw_only=True):
    """Everything needed to repeat a run. Fields that an older version did not write have their defaults."""

    format: int = 1
    command: list[str] = []
    run: str = ""
    step: int = -1
    seed: int | None = None
    model: ModelRecord = ModelRecord()
    parent: str | None = None
    # the run that this one repeats
    repeats: str = ""
    # the group of runs with several seeds that it belongs to
    group: str = ""
    data: DataRecord = DataRecord()
    settings: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    versions: dict[str, str] = {}
    git: dict[str, Any] = {}
    hardware: dict[str, Any] = {}


def read(path: Path) -> RunManifest | None:
    """Return the manifest at ``path``, None where there is none that can be read."""
    try:
        return read_record(path, RunManifest)
    except (OSError, ValueError):
        return None


def settings_of(path: Path) -> dict[str, dict[str, Any]]:
    """Return the settings in the manifest at ``path``; empty where it cannot be read."""
    manifest = read(path)
    return manifest.settings if manifest is not None else {}


def masked(value: Any, name: str = "") -> Any:
    """Return ``value`` with every text under a name that looks like a secret replaced by ***."""
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    # token counts and the like are numbers, secrets are texts
    return "***" if _SECRET.search(name) and isinstance(value, str) and value else value


def versions() -> dict[str, str]:
    """Return the versions of Python, the app and the packages that a training depends on."""
    from importlib import metadata  # late, as psutil below: the app's first picture needs neither

    found = {"python": platform.python_version(), "opeddev-tui": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def git_state() -> dict[str, Any]:
    """Return commit and dirty flag of the app's own git checkout, empty without one."""
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {}
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}


def hardware() -> dict[str, Any]:
    """Return a description of this machine, sizes in bytes. Torch is asked only if it is loaded."""
    import psutil

    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "ram": psutil.virtual_memory().total,
        "gpus": gpus,
        "torch_threads": torch.get_num_threads() if torch else None,
    }


def build(loaded: LoadedSettings, **facts: Any) -> RunManifest:
    """Return the manifest of a run with these settings, on this machine.

    ``facts`` are the other fields of ``RunManifest`` (data, model, lineage), tables as plain dictionaries.
    """
    settings: dict[str, dict[str, Any]] = masked(msgspec.to_builtins(loaded.settings))
    plain = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        **facts,
        "settings": settings,
        "origins": dict(loaded.origins),
        "versions": versions(),
        "git": git_state(),
        "hardware": hardware(),
    }
    return msgspec.convert(plain, RunManifest)


def encode(manifest: RunManifest) -> bytes:
    """Return the manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def differences(before: RunManifest, now: RunManifest) -> list[str]:
    """Return a sentence for every difference that forbids resuming the run ``before`` as ``now``."""
    found = plain_differences(before, now.settings, now.data)
    if (before.model.files, before.model.revision) != (now.model.files, now.model.revision):
        found.append(f"the model {now.model.source} has changed")
    was_threads, threads = before.hardware.get("torch_threads"), now.hardware["torch_threads"]
    if was_threads != threads and not now.hardware["gpus"]:
        found.append(f"the training used {was_threads} CPU threads and would use {threads}")
    return found


def plain_differences(before: RunManifest, settings: Mapping[str, Mapping[str, Any]], data: DataRecord) -> list[str]:
    """Return those that are known without the model: of the ``settings`` and the ``data`` as they are now."""
    found = []
    # an older version trained with the default of a setting that it did not have
    defaults = msgspec.to_builtins(Settings())
    names = [f"{section}.{key}" for section in _GUARDED_SECTIONS for key in settings[section]]
    for name in [*(name for name in names if name not in _HARMLESS), *_GUARDED_EXTRA]:
        section, key = name.split(".")
        was, is_now = before.settings.get(section, {}).get(key, defaults[section][key]), settings[section][key]
        if was != is_now:
            found.append(f"{name} was {was!r} and is {is_now!r}")
    return found + _data_differences(before.data, data)


def _data_differences(before: DataRecord, now: DataRecord) -> list[str]:
    found = _batch_differences(before.batches, now.batches)
    fingerprints = [part.holdout.fingerprint if part.holdout is not None else "" for part in (before, now)]
    if fingerprints[0] != fingerprints[1]:
        found.append("the hold-out has changed")
    found += _correction_differences(before, now)
    if not found:
        found += _encoding_differences(before.encoding, now.encoding)
    return found


def _correction_differences(before: DataRecord, now: DataRecord) -> list[str]:
    old = {item.name: item for item in (*before.batches, before.holdout) if item is not None}
    return [
        f"other grades of {item.name} are corrected ({old[item.name].corrected} then, {item.corrected} now; "
        "opeddev-tui regrade shows them)"
        for item in (*now.batches, now.holdout)
        if item is not None and item.name in old and old[item.name].corrections != item.corrections
    ]


def _batch_differences(before: list[DataSet], now: list[DataSet]) -> list[str]:
    """Compare batches by their rows: one of another name is the same batch."""
    prints = [item.fingerprint for item in before]
    others = [item for item in now if item.fingerprint not in prints]
    lost = {item.name: item for item in before if item.fingerprint not in [one.fingerprint for one in now]}
    found = []
    for item in others:
        was = lost.pop(item.name, None)
        if was is None:
            found.append(f"batch {item.name} was not there")
        else:
            found.append(f"batch {item.name} has changed ({was.rows} rows then, {item.rows} now)")
    found += [f"batch {name} is not there any more" for name in lost]
    if not found and prints != [item.fingerprint for item in now]:
        found.append("the batches come in another order")
    return found


def _encoding_differences(before: EncodingRecord | None, now: EncodingRecord | None) -> list[str]:
    """Compare how equal rows were and are encoded: by the digest of their ids, else by the counts that are known."""
    if before is None or now is None:
        return []
    if before.digest:
        same = before.digest == now.digest
    else:
        same = (before.rows, before.tokens, before.loss_tokens) == (now.rows, now.tokens, now.loss_tokens)
    return (
        [] if same else [f"the same rows are encoded as other tokens ({before.tokens} tokens then, {now.tokens} now)"]
    )


def difference(one: Mapping[str, Any], two: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (name, value in ``one``, value in ``two``) of all that differs, nested names joined by dots."""
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*one, *two]):
        a, b = one.get(key), two.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += difference(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append((f"{prefix}{key}", a, b))
    return found
