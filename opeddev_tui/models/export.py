"""Export a checkpoint as an ordinary model folder with a model card, which plain Transformers or PEFT loads."""

import shutil
import tempfile
from pathlib import Path

from opeddev_tui.checkpoints import folders, heads
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import storage_errors, sync_folder
from opeddev_tui.models import loading
from opeddev_tui.models.template import ChatTemplate
from opeddev_tui.reports.report import render
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.runs.history import RunRecord


def export(entry: Entry, record: RunRecord, settings: st.Settings, target: Path, *, adapter: bool = False) -> Path:
    """Write ``entry`` to the new folder ``target`` and return it.

    A full checkpoint is written as it is; adapters are merged unless ``adapter`` asks for them alone. The folder
    appears whole or not at all. Raises ``StorageProblem`` for a damaged checkpoint or a target that exists.
    """
    problems = folders.problems_of(entry.folder)
    if problems:
        raise StorageProblem(
            f"cannot be exported: {'; '.join(problems)}.", where=str(entry.folder), cure="Choose another checkpoint."
        )
    if target.exists() and any(target.iterdir()):
        raise StorageProblem("is not empty.", where=str(target), cure="Choose a new folder.")
    with storage_errors(target):
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
    if heads.heads_in(entry.folder):
        heads.carry(entry.folder, folder, folders.weights_digest(folder))


def model_card(entry: Entry, record: RunRecord, settings: st.Settings, *, adapter: bool = False) -> str:
    """Return the model card as Markdown, filled from the run's records."""
    started = record.state.started
    return render(
        "model_card.md.jinja",
        entry=entry,
        base_model=started.model if started else settings.model.name,
        parent=checkpoint_name(entry.parent) if entry.parent else "",
        holdout=started.holdout_fingerprint if started else "",
        epochs=sorted(record.state.epochs.items()),
        grades=record.state.grades.get(round(entry.epoch)),
        settings=settings,
        package="peft" if adapter else "transformers",
        heads=heads.heads_in(entry.folder),
        head_base=entry.grades_with,
        loader="AutoPeftModelForCausalLM" if adapter else "AutoModelForCausalLM",
    )
