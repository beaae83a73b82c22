"""Export a checkpoint as a folder that is there whole or not at all: model, heads, grader, card, Modelfile.

Plain Transformers, PEFT, vLLM and Ollama ask with it what training asked. No file names a place of this machine, and
none holds a row of the data.
"""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders, heads
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.errors import StorageProblem
from opeddev_tui.exporting.bases import KnownBase, adapter_base, first_base
from opeddev_tui.exporting.card import model_card
from opeddev_tui.exporting.grader import SCRIPT, Defaults, carry_heads, grader_files, usual_in, write_grader
from opeddev_tui.exporting.ollama import modelfile
from opeddev_tui.exporting.ways import Way, way_of
from opeddev_tui.files import storage_errors, sync, sync_folder
from opeddev_tui.grading.scale import Scale
from opeddev_tui.models import loading
from opeddev_tui.models.export import AdapterBase, write_model
from opeddev_tui.runs.grade_words import counted_off, graded_by
from opeddev_tui.runs.history import read_run
from opeddev_tui.runs.measured_grades import Measured, measured
from opeddev_tui.serving.asked import filling
from opeddev_tui.serving.choice import Choice, choose
from opeddev_tui.serving.training_rows import stem_of, usual_of
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.typed_commands import for_here, within_here


class Exported(Struct, frozen=True):
    """A written export: what grades in it (None: its rows have no grades), its form, and what a person should know.

    ``below`` is the model below adapters that are exported alone, ``base`` the model that its grader needs beside it;
    ``defaults`` are what the grader fills in, ``measured`` what the hold-out showed of its grades.
    """

    folder: Path
    way: Way | None
    dtype: str
    adapter: bool
    below: KnownBase | None = None
    base: KnownBase | None = None
    has_step_head: bool = False
    notes: tuple[str, ...] = ()
    defaults: Defaults = field(default_factory=dict)
    measured: Measured | None = None


class Form(Struct, frozen=True):
    """What to write: ``adapter`` alone (True), merged (False), or by whether its base is on the hub (None).

    ``dtype`` is the setting's where it is empty, ``way`` (of ``ways.WAYS``) the one that the race chose.
    """

    adapter: bool | None = None
    dtype: str = ""
    way: str = ""


def export(
    workspace: Workspace,
    entry: Entry,
    settings: st.Settings,
    target: Path,
    form: Form = Form(),  # noqa: B008 - immutable
) -> Exported:
    """Write ``entry`` to the new or empty folder ``target``.

    Raises ``StorageProblem`` for a damaged checkpoint, a target that is taken or a disk that is full, ``ModelProblem``
    where the model below adapters is another one.
    """
    loading.quiet_libraries()
    loading.require_base_for(entry.folder, settings.model)
    require_free(target)
    with folders.in_use(entry.folder), storage_errors(target):
        # verifies every byte
        choice = choose(workspace, settings, str(entry.folder))
        way = way_of(choice, form.way)
        with _whole_or_nothing(target) as half:
            return _written(workspace, entry, choice, way, half, target, form)


def require_free(target: Path) -> None:
    """Raise ``StorageProblem`` where something is at ``target`` that is no empty folder."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise StorageProblem("is no folder.", where=str(target), cure="Choose a new folder.")
    with storage_errors(target):
        if target.exists() and any(target.iterdir()):
            raise StorageProblem("is not empty.", where=str(target), cure="Choose a new folder.")


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``target`` that takes its place when the block ends well, else it is deleted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.unfinished-"))
    try:
        yield half
        for path in half.iterdir():
            path.chmod(0o644)
            sync(path)
        half.chmod(0o755)
        if target.exists():
            target.rmdir()
        half.rename(target)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    sync_folder(target.parent)


def _written(
    workspace: Workspace, entry: Entry, choice: Choice, way: Way | None, half: Path, target: Path, form: Form
) -> Exported:
    settings = choice.settings
    below = adapter_base(entry, settings) if entry.lora else None
    # on a base that nobody else can fetch, adapters alone are of no use
    alone = below if below is not None and (bool(below.hub) if form.adapter is None else form.adapter) else None
    dtype = "fp32" if alone is not None else form.dtype or settings.export.dtype
    named = AdapterBase(alone.hub or alone.name, alone.revision) if alone is not None else None
    model = write_model(entry, settings, half, dtype=dtype, adapter=named)
    if heads.heads_in(entry.folder):
        carry_heads(entry, half)
    base = alone
    if way is not None and way.model == heads.BASE:
        base = first_base(workspace.root, settings)
    exported = Exported(
        *(target, way, dtype, alone is not None, alone, base),
        has_step_head=heads.STEP in heads.heads_in(half),
        notes=(*model.notes, *_notes(below, alone=alone is not None, asked=form.adapter)),
    )
    if way is not None:
        stem = stem_of(workspace, choice) if way.reads == "tokens" else None
        labels = Scale.of(settings.grading).labels
        fill = filling(settings, usual=usual_of(workspace, settings))
        files = grader_files(
            *(way, base, fill),
            adapter=exported.adapter,
            measured=measured(
                choice.state, choice.epoch, way.name, labels, counted_off(settings.grade.tolerance, len(labels))
            ),
        )
        write_grader(half, files, settings, model.encoder, stem)
        exported = replace(exported, defaults=files.defaults, measured=files.measured)
    ollama, refused = modelfile(model.tokenizer, model.encoder, settings, alone)
    if ollama:
        (half / "Modelfile").write_text(ollama, encoding="utf-8")
    record, room = read_run(workspace, entry.run), model.encoder.prompt_room()
    card = model_card(exported, entry, record, settings, half, prompt_tokens=room, without_ollama=refused)
    (half / "README.md").write_text(card, encoding="utf-8")
    return exported


def _notes(below: KnownBase | None, *, alone: bool, asked: bool | None) -> list[str]:
    if below is None:
        return ["It is no adapter, so the whole model is written."] if asked else []
    if alone and not below.hub:
        return [f"The adapter needs {below.name}, which is not on the hub: whoever gets it needs that model from you."]
    if not alone and not below.hub and asked is None:
        return [f"The model below the adapters, {below.name}, is not on the hub: they are merged into a copy of it."]
    return []


def told(entry: Entry, exported: Exported) -> Iterator[str]:
    """Yield sentences on a written export, wherever its folder may go."""
    form = "the adapter alone" if exported.adapter else exported.dtype
    yield f"{entry.name} is at {exported.folder} ({form})."
    yield from exported.notes
    if exported.way is None:
        yield "Its rows have no grades, so it comes without a grader."
        return
    needs = exported.base
    where = "" if needs is None else "; it is fetched from the hub" if needs.hub else "; give its folder with --base"
    more = "" if needs is None else f", which needs another model too: {needs.words}, in memory and on disk{where}"
    yield f"Its grade.py grades by {exported.way.words}{more}. {graded_by(exported.way.name)}"
    if exported.measured is not None:
        yield " ".join(exported.measured.words)
    if usual := usual_in(exported.defaults):
        yield f"For files without one it holds the commonest {' and '.join(usual)} of the training rows."


def commands(root: Path, entry: Entry, exported: Exported) -> Iterator[str]:
    """Yield what to type in the folder of now where an export does not grade alone, a line each; ``root``: workspace.

    They name places of this machine, so they are only said.
    """
    base, here = exported.base, within_here(str(exported.folder))
    if base is not None and not base.hub:
        source = shlex.quote(str(Path(base.source).absolute())) if Path(base.source).is_dir() else "FOLDER"
        script = shlex.quote(str(Path(here, SCRIPT)))
        yield f"To grade with it here: {shlex.quote(sys.executable)} {script} FILE --base {source}"
    if exported.way is not None and exported.way.name == "base head" and exported.has_step_head:
        words = shlex.join([entry.name, f"{here}-step-head", "--way", "step-head"])
        command = for_here(f"opeddev-tui checkpoints export {words}", root)
        yield f"To export it so that it grades by this model alone: {command}"
