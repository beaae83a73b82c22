"""Export a checkpoint as an ordinary model folder with a model card, which plain Transformers or PEFT loads."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from opeddev_tui.checkpoints import folders, heads
from opeddev_tui.checkpoints.base_model import shown, unverified
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import storage_errors, sync_folder
from opeddev_tui.models import loading
from opeddev_tui.models.template import ChatTemplate
from opeddev_tui.reports.report import render
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.runs.history import RunRecord

# keys of configuration files under which libraries write where something lay on this machine
_PLACE = re.compile(r"(name_or_path|_path|_file|_dir)$")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def export(entry: Entry, record: RunRecord, settings: st.Settings, target: Path, *, adapter: bool = False) -> Path:
    """Write ``entry`` to the new folder ``target`` and return it.

    A full checkpoint is written as it is; adapters are merged unless ``adapter`` asks for them alone. The folder
    appears whole or not at all. Raises ``StorageProblem`` for a damaged checkpoint or a target that exists.
    """
    loading.require_base_for(entry.folder, settings.model)
    if target.exists() and any(target.iterdir()):
        raise StorageProblem("is not empty.", where=str(target), cure="Choose a new folder.")
    with folders.in_use(entry.folder), storage_errors(target):
        if problems := folders.problems_of(entry.folder):
            raise StorageProblem(
                f"cannot be exported: {'; '.join(problems)}.", where=str(entry.folder), cure="Choose another one."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            _write_model(entry, settings, half, adapter=adapter)
            (half / "README.md").write_text(model_card(entry, record, settings, adapter=adapter and entry.lora))
            half.chmod(0o755)
            if target.exists():
                target.rmdir()
            half.rename(target)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync_folder(target.parent)
    return target


def _write_model(entry: Entry, settings: st.Settings, folder: Path, *, adapter: bool) -> None:
    tokenizer = loading.load_tokenizer(str(entry.folder), settings.model)
    if adapter and entry.lora:
        for path in [*entry.folder.glob("adapter_*"), *entry.folder.glob("*.jinja")]:
            shutil.copy2(path, folder)
    else:
        loading.load_model(str(entry.folder), settings.model).save_pretrained(folder)
    # whoever loads the export and says nothing of thinking gets the prompts that were trained
    template = ChatTemplate(tokenizer, thinking=settings.generation.enable_thinking)
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = template.as_trained()
    tokenizer.save_pretrained(folder)
    _without_places(folder, shown(entry.base))
    if heads.heads_in(entry.folder):
        heads.carry(entry.folder, folder, folders.weights_digest(folder))


def _without_places(folder: Path, base: str) -> None:
    """Take the places of this machine out of the configuration files; adapters name their base as its card does."""
    for path in sorted(folder.glob("*config.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, value in content.items():
            if _PLACE.search(key) and isinstance(value, str):
                content[key] = base if key == "base_model_name_or_path" else shown(value)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def model_card(entry: Entry, record: RunRecord, settings: st.Settings, *, adapter: bool = False) -> str:
    """Return the model card as Markdown, filled from the run's records."""
    started = record.state.started
    first = started.model if started else settings.model.name
    # the model that whoever loads the export needs beside it, or that it grew from
    needed = entry.base if adapter else first
    return render(
        "model_card.md.jinja",
        entry=entry,
        base_model=shown(needed),
        on_hub=_HUB_NAME.fullmatch(needed) is not None and not Path(needed).exists(),
        first_model=shown(first),
        parent=checkpoint_name(entry.parent) if entry.parent else "",
        holdout=started.holdout_fingerprint if started else "",
        epochs=sorted(record.state.epochs.items()),
        grades=record.state.grades.get(round(entry.epoch)),
        settings=settings,
        package="peft" if adapter else "transformers",
        adapter=adapter,
        unverified=unverified(str(entry.folder)),
        race=record.state.race,
        heads=heads.heads_in(entry.folder),
        head_base=shown(entry.grades_with),
    )
