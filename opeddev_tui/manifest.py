"""Owns ``last_run_args.json``: everything needed to repeat a run, and the comparison that guards a resume.

No secret is ever in it: settings hold none by design, and pass-through arguments that look like one are masked.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import psutil

from opeddev_tui import __version__
from opeddev_tui.config import LoadedSettings

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "peft", "tokenizers", "textual", "numpy", "safetensors")
# settings that change no weights: a run may be resumed with others
_HARMLESS = frozenset(
    {
        "training.logging_steps",
        "training.save_total_limit",
        "training.start_from",
        "training.per_device_eval_batch_size",
        "grading.evaluate",
        "grading.max_new_tokens",
        "grading.pattern",
    }
)
_GUARDED_SECTIONS = ("model", "data", "training", "lora", "grading")
_GUARDED_EXTRA = ("early_stop.max_extra_epochs", "generation.enable_thinking")
_SECRET = re.compile(r"token|secret|passw|api_?key|credential", re.IGNORECASE)


def masked(value: Any, name: str = "") -> Any:
    """Return ``value`` with everything under a secret-looking name replaced."""
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    # token counts and the like are numbers, secrets are texts
    return "***" if _SECRET.search(name) and isinstance(value, str) and value else value


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    found = {"python": platform.python_version(), "opeddev-tui": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def git_state() -> dict[str, Any]:
    """Return commit and dirty flag of the app's own checkout; empty when it is installed without one."""
    folder = Path(__file__).parent

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
    """Return what the run was made on; sizes in bytes. Torch is asked only if it is loaded."""
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


def build(loaded: LoadedSettings, **facts: Any) -> dict[str, Any]:
    """Return the manifest: settings with their origins, ``facts`` about data, model and lineage, environment."""
    return {
        "format": 1,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        **facts,
        "settings": masked(msgspec.to_builtins(loaded.settings)),
        "origins": dict(loaded.origins),
        "versions": versions(),
        "git": git_state(),
        "hardware": hardware(),
    }


def encode(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return, in words, every difference that forbids resuming ``before`` as ``now``."""
    found = []
    old, new = before.get("settings", {}), now["settings"]
    names = [f"{section}.{key}" for section in _GUARDED_SECTIONS for key in new[section]]
    for name in [*(name for name in names if name not in _HARMLESS), *_GUARDED_EXTRA]:
        section, key = name.split(".")
        was, is_now = old.get(section, {}).get(key), new[section][key]
        if was != is_now:
            found.append(f"{name} was {was!r} and is {is_now!r}")
    found += _data_differences(before.get("data", {}), now["data"])
    was_model, model = before.get("model", {}), now["model"]
    if any(was_model.get(key) != model[key] for key in ("files", "revision")):
        found.append(f"the model {model['source']} has changed")
    was_threads = before.get("hardware", {}).get("torch_threads")
    threads = now["hardware"]["torch_threads"]
    if was_threads != threads and not now["hardware"]["gpus"]:
        found.append(f"the training used {was_threads} CPU threads and would use {threads}")
    return found


def _data_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old = {item["name"]: item for item in before.get("batches", [])}
    found = []
    for item in now["batches"]:
        was = old.get(item["name"])
        if was is None:
            found.append(f"batch {item['name']} was not there")
        elif was["fingerprint"] != item["fingerprint"]:
            found.append(f"batch {item['name']} has changed ({was['rows']} rows then, {item['rows']} now)")
    if before.get("holdout", {}).get("fingerprint") != now["holdout"]["fingerprint"]:
        found.append("the hold-out has changed")
    if not found and "encoding" in now:
        found += _encoding_differences(before.get("encoding", {}), now["encoding"])
    return found


def _encoding_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare how equal rows were and are encoded: by the digest of their ids, else by the counts that are known."""
    names = ["digest"] if "digest" in before else [name for name in ("rows", "tokens", "loss_tokens") if name in before]
    if all(before[name] == now[name] for name in names):
        return []
    was, is_now = before.get("tokens", "?"), now["tokens"]
    return [f"the same rows are encoded as other tokens ({was} tokens then, {is_now} now)"]
