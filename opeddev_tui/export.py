"""Owns export: a checkpoint as an ordinary model folder that plain Transformers loads, with a model card."""

import shutil
import tempfile
from pathlib import Path

from opeddev_tui import checkpoints, models
from opeddev_tui import settings as st
from opeddev_tui.catalog import Entry
from opeddev_tui.errors import StorageProblem
from opeddev_tui.format import number
from opeddev_tui.history import RunRecord
from opeddev_tui.storage import sync_folder, told_clearly


def export(entry: Entry, record: RunRecord, settings: st.Settings, target: Path, *, adapter: bool = False) -> Path:
    """Write ``entry`` to the new folder ``target`` and return it.

    A full checkpoint is written as it is; adapters are merged unless ``adapter`` asks for them alone. The folder
    appears whole or not at all. Raises ``StorageProblem`` for a damaged checkpoint or a target that exists.
    """
    problems = checkpoints.problems_of(entry.folder)
    if problems:
        raise StorageProblem(
            f"cannot be exported: {'; '.join(problems)}.", where=str(entry.folder), cure="Choose another checkpoint."
        )
    if target.exists() and any(target.iterdir()):
        raise StorageProblem("is not empty.", where=str(target), cure="Choose a new folder.")
    with told_clearly(target):
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
    tokenizer = models.load_tokenizer(str(entry.folder), settings.model)
    if adapter and entry.lora:
        for path in [*entry.folder.glob("adapter_*"), *entry.folder.glob("*.jinja")]:
            shutil.copy2(path, folder)
    else:
        models.load_model(str(entry.folder), settings.model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def model_card(entry: Entry, record: RunRecord, settings: st.Settings, *, adapter: bool = False) -> str:
    """Return the model card as Markdown, filled from the run's records."""
    state = record.state
    started = state.started
    rows = [
        f"| {epoch} | {number(row.train_loss, 4)} | {number(row.val_loss, 4)} |"
        for epoch, row in sorted(state.epochs.items())
    ]
    head = {
        "base_model": started.model if started else settings.model.name,
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
    }
    lines = ["---", *(f"{key}: {value}" for key, value in head.items()), "---", ""]
    lines += [f"# {head['base_model']}, fine-tuned to grade web-development code", ""]
    lines += [
        f"Step {entry.step}, epoch {entry.epoch:g}, trained on {entry.rows} rows"
        f"{' with LoRA adapters' if entry.lora else ''}; run `{entry.run}`.",
        "",
        "## Results on the hold-out",
        "",
        "Losses in nats a token, mean over the completion's tokens.",
        "",
        "| epoch | train loss | hold-out loss |",
        "| --- | --- | --- |",
        *rows,
        "",
    ]
    lines += _grades(entry, record)
    lines += _lineage(entry, started.holdout_fingerprint if started else "")
    lines += _prompting(settings, adapter=adapter)
    return "\n".join(lines) + "\n"


def _grades(entry: Entry, record: RunRecord) -> list[str]:
    found = record.state.grades.get(round(entry.epoch))
    if found is None:
        return []
    classifier = "" if found.classifier_exact is None else f", a text classifier {found.classifier_exact:.0%}"
    return [
        f"Grades: {found.parsed:.0%} parsed, {found.exact:.0%} exact (always the commonest grade: "
        f"{found.majority_exact:.0%}{classifier}), {found.within_one:.0%} within one (always the middle grade: "
        f"{found.middle_within_one:.0%}).",
        "",
    ]


def _lineage(entry: Entry, holdout: str) -> list[str]:
    return [
        "## Lineage",
        "",
        f"- grew from: `{Path(entry.parent).parent.name}/{Path(entry.parent).name}`"
        if entry.parent
        else "- grew from: the base model",
        f"- hold-out fingerprint: `{holdout}`",
        "",
    ]


def _prompting(settings: st.Settings, *, adapter: bool) -> list[str]:
    grading = settings.grading
    load = "AutoPeftModelForCausalLM" if adapter else "AutoModelForCausalLM"
    package = "peft" if adapter else "transformers"
    return [
        "## How to prompt it",
        "",
        "```python",
        f"from {package} import {load}",
        "from transformers import AutoTokenizer",
        "",
        f'model = {load}.from_pretrained(".")',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
        "messages = [",
        f'    {{"role": "system", "content": {grading.system_prompt!r}}},',
        f'    {{"role": "user", "content": {grading.prompt_template!r}.format(task=…, rubric=…, submission=…)}},',
        "]",
        "inputs = tokenizer.apply_chat_template(",
        "    messages, add_generation_prompt=True, "
        f'enable_thinking={settings.generation.enable_thinking}, return_dict=True, return_tensors="pt"',
        ")",
        "output = model.generate(**inputs, max_new_tokens=160, do_sample=False)",
        'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))',
        "```",
    ]
