"""``checkpoints``: list, show, verify, compare, pin, note, prune, delete, export and try checkpoints."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from rich.table import Table
from rich.text import Text

from opeddev_tui.analysis.checkpoint_grades import comparison
from opeddev_tui.checkpoints import catalog, pins, pruning
from opeddev_tui.checkpoints.base_model import unverified
from opeddev_tui.commands.field_text import field_text
from opeddev_tui.commands.options import add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole, plain_table, print_json
from opeddev_tui.commands.seed_tables import take_seed
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import StorageProblem
from opeddev_tui.format import capital, duration, number, rounded, share, size
from opeddev_tui.runs.manifest import difference, settings_of
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace.paths import Workspace

NAMES = "latest, best, step1, step1:3 (its epoch), run/checkpoint-75, or a folder"
# columns of a terminal from which on a list has room for kappas and ages
_WIDE = 100


class Context(msgspec.Struct):
    """What the actions work on."""

    workspace: Workspace
    loaded: LoadedSettings
    options: argparse.Namespace
    console: CleanConsole
    entries: list[catalog.Entry]

    def find(self, reference: str) -> catalog.Entry:
        """Return the checkpoint that ``reference`` names; raises ``StorageProblem`` if there is none."""
        return catalog.find_entry(self.entries, reference)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.epilog = f"A CHECKPOINT is {NAMES}."
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, (run_action, summary, arguments) in ACTIONS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        sub = actions.add_parser(name, help=summary, description=description, epilog=parser.epilog)
        for argument in arguments:
            sub.add_argument(argument, **_ARGUMENTS[argument])
        add_workspace(sub)
        sub.set_defaults(action=run_action)


def run(options: argparse.Namespace) -> int:
    """Carry out the action."""
    workspace, loaded = open_workspace(options)
    context = Context(workspace, loaded, options, CleanConsole(workspace.root), catalog.list_entries(workspace))
    action: Callable[[Context], int] = options.action
    return action(context)


def as_json(entry: catalog.Entry) -> dict[str, Any]:
    """Return ``entry`` as plain values; docs/json.md describes them."""
    fields = msgspec.to_builtins(replace(entry, graded=()), enc_hook=str)
    # a grade per hold-out row is for comparing, not for reading
    del fields["graded"]
    return {"name": entry.name, **fields}


def _list(context: Context) -> int:
    if context.options.json:
        print_json([as_json(entry) for entry in context.entries])
        return 0
    for run in dict.fromkeys(entry.run for entry in context.entries):
        of_run = [entry for entry in context.entries if entry.run == run]
        context.console.print(_run_table(run, of_run, wide=context.console.width >= _WIDE), "")
        if any(catalog.of_other_holdout(context.entries, entry) for entry in of_run):
            context.console.print("Scored on another hold-out than the newest run: not comparable with it.", "")
    if problem := pins.notes_problem(context.workspace):
        context.console.say(clean_line(problem), soft_wrap=True)
    if notice := context.workspace.copy_notice:
        context.console.say(clean_line(capital(notice)), soft_wrap=True)
    if not context.entries:
        context.console.say("No checkpoint yet. Train a step first: opeddev-tui train.")
    return 0


def _run_table(run: str, entries: list[catalog.Entry], *, wide: bool) -> Table:
    """Return the checkpoints of one run; without kappas and ages where these would push the marks out of sight."""
    parent = entries[-1].parent
    origin = f"{Path(parent).parent.name}/{Path(parent).name}" if parent else "the base model"
    table = plain_table(title=f"step {entries[-1].step}, {entries[-1].rows} rows: {run}, started from {origin}")
    # the names are typed into other commands: never shortened, however narrow the terminal is
    for name, only_wide in _COLUMNS:
        if wide or not only_wide:
            table.add_column(name, no_wrap=name != "marks")
    for entry in entries:
        cells = zip(_COLUMNS, _row(entry), strict=True)
        table.add_row(*(Text(cell) for (_, only_wide), cell in cells if wide or not only_wide))
    return table


# columns of a list, and whether only a wide terminal has room for them
_COLUMNS = (
    ("checkpoint", False), ("epoch", False), ("hold-out", False), ("gain in the step (95%)", False), ("exact", False),
    ("kappa", True), ("size", False), ("age", True), ("marks", False),
)  # fmt: skip


def _row(entry: catalog.Entry) -> list[str]:
    gain = ""
    if entry.gain is not None and entry.interval is not None:
        gain = f"{entry.gain:+.3f} ({entry.interval[0]:+.3f} to {entry.interval[1]:+.3f})"
    marks = ", ".join(entry.marks) if entry.published else "never finished"
    return [
        clean_line(entry.folder.name),
        f"{entry.epoch:g}{' LoRA' if entry.lora else ''}",
        number(entry.val_loss, 4),
        gain,
        share(entry.exact),
        rounded(entry.kappa),
        size(entry.size),
        duration(max(0.0, time.time() - entry.created)),
        marks,
    ]


def _show(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    problems = catalog.problems_of(entry)
    settings = settings_of(context.workspace.run_manifest(entry.run))
    if context.options.json:
        print_json({**as_json(entry), "problems": problems, "settings": settings})
        return 0
    for name, value in as_json(entry).items():
        context.console.say(f"{name:12} {field_text(name, value)}", soft_wrap=True)
    context.console.print(Text(f"{'state':12} {_state(problems)}"))
    return 0


def _verify(context: Context) -> int:
    chosen = [context.find(name) for name in context.options.checkpoints] or context.entries
    problems = {entry.name: catalog.problems_of(entry) for entry in chosen}
    if context.options.json:
        print_json([{"name": name, "verified": not some, "problems": some} for name, some in problems.items()])
    else:
        for name, some in problems.items():
            context.console.print(Text(f"{name}: {_state(some)}"))
        for note in dict.fromkeys(note for entry in chosen for note in unverified(str(entry.folder))):
            context.console.say(clean_line(f"note: {note}"), soft_wrap=True)
    return StorageProblem.exit_code if any(problems.values()) else 0


def _state(problems: list[str]) -> str:
    return "damaged: " + "; ".join(problems) if problems else "verified"


def _diff(context: Context) -> int:
    one, two = context.find(context.options.one), context.find(context.options.two)
    first, second = (settings_of(context.workspace.run_manifest(entry.run)) for entry in (one, two))
    pairs = [*difference(as_json(one), as_json(two)), *difference(first, second, "settings.")]
    if context.options.json:
        print_json([{"name": name, "one": a, "two": b} for name, a, b in pairs])
        return 0
    table = Table("")
    for entry in (one, two):
        # two names may differ at their ends alone
        table.add_column(clean_line(entry.name), overflow="fold")
    for name, a, b in pairs:
        table.add_row(Text(name), Text(field_text(name, a)), Text(field_text(name, b)))
    context.console.print(table)
    if grades := comparison(one.graded, two.graded):
        context.console.say(grades, soft_wrap=True)
    return 0


def _pin(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    pins.annotate(context.workspace, entry.name, pinned=not context.options.off)
    context.console.print(Text(f"{entry.name} {'is no longer' if context.options.off else 'is'} pinned."))
    return 0


def _note(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    pins.annotate(context.workspace, entry.name, note=context.options.text)
    context.console.print(Text(f"Noted on {entry.name}."))
    return 0


def _prune(context: Context) -> int:
    chosen = [context.find(name) for name in context.options.checkpoints] or None
    quarantined = pruning.list_aside(context.workspace) if chosen is None else []
    removal = pruning.plan_removal(context.entries, chosen, quarantined)
    if context.options.yes:
        removal = pruning.carry_out(removal)
    verb = "deleted" if context.options.yes else "would be deleted"
    lines = [
        *(f"kept: {entry.name} ({reason})" for entry, reason in removal.stays),
        *(f"{verb}: {entry.name} ({size(entry.size)})" for entry in removal.goes),
        *(f"{verb}: {item.name} ({size(item.size)}, damaged and quarantined)" for item in removal.aside),
    ]
    for line in lines:
        context.console.say(clean_line(line), soft_wrap=True)
    if context.options.yes:
        context.console.print(Text(f"{size(removal.freed)} freed."))
    elif removal.count:
        context.console.print(Text(f"Nothing was deleted. Add --yes to free {size(removal.freed)}."))
    return 0


def _take(context: Context) -> int:
    if context.options.seed_run:
        run = context.options.seed_run
        return take_seed(context.workspace, run if run in context.workspace.run_ids() else context.find(run).run)
    folder = context.workspace.take()
    context.console.say(clean_line(f"The checkpoints in {folder} are those of this workspace now."))
    return 0


def _export(context: Context) -> int:
    from opeddev_tui.commands.export_action import carry_out

    context.workspace.adopt()
    entry, settings = context.find(context.options.checkpoint), context.loaded.settings
    return carry_out(context.console, context.workspace, entry, settings, context.options)


def _generate(context: Context) -> int:
    from opeddev_tui.models.inference import LoadedModel

    context.workspace.adopt()
    settings = context.loaded.settings
    for reference in [context.options.checkpoint, *context.options.against]:
        entry = context.find(reference)
        with context.console.status(f"loading {entry.name}"):
            model = LoadedModel(str(entry.folder), settings)
        context.console.print(Text(f"{entry.name} ({model.fingerprint})", style="bold"))
        for piece in model.stream(context.options.prompt):
            print(clean(piece), end="", flush=True)
        print()
    return 0


def _evaluate(context: Context) -> int:
    from opeddev_tui.models.inference import LoadedModel

    context.workspace.adopt()
    entry = context.find(context.options.checkpoint)
    with context.console.status(f"scoring {entry.name} on the hold-out"):
        model = LoadedModel(str(entry.folder), context.loaded.settings)
        loss = model.holdout_loss(context.workspace)
    other = "" if model.scored_on == entry.holdout else " on another hold-out"
    recorded = "" if entry.val_loss is None else f" (recorded{other}: {entry.val_loss:.6f})"
    context.console.print(Text(f"{entry.name}: hold-out loss {loss:.6f}{recorded}"))
    return 0


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "checkpoint": {"metavar": "CHECKPOINT"},
    "checkpoints": {"metavar": "CHECKPOINT", "nargs": "*"},
    "one": {"metavar": "CHECKPOINT"},
    "two": {"metavar": "CHECKPOINT"},
    "text": {"metavar": "TEXT"},
    "prompt": {"metavar": "PROMPT"},
    "target": {"metavar": "FOLDER", "type": Path},
    "seed_run": {"metavar": "RUN", "nargs": "?", "default": "", "help": "a seed's run, or a checkpoint of it"},
    "--json": {"action": "store_true", "help": "for scripts; the fields are in docs/json.md"},
    "--off": {"action": "store_true", "help": "remove the pin"},
    "--yes": {"action": "store_true", "help": "delete, instead of showing what would be deleted"},
    "--adapter": {"action": "store_true", "help": "LoRA: the adapter alone (default where its base is on the hub)"},
    "--merge": {"action": "store_true", "help": "LoRA: merged into a copy of its base (default where that is not)"},
    "--dtype": {"choices": ("bf16", "fp16", "fp32"), "help": "of the weights (default: export.dtype)"},
    "--way": {
        "choices": ("base-head", "step-head", "step-tokens", "step-text", "n-grams"),
        "help": "what its grade.py reads grades from (default: what the race chose)",
    },
    "--verify": {
        "action": "store_true",
        "help": "then grade the hold-out with the folder in a fresh process of plain Transformers, and compare",
    },
    "--against": {"action": "append", "default": [], "metavar": "CHECKPOINT", "help": "another one, after it"},
}

# name: (what it does, a line of help, its arguments)
ACTIONS: dict[str, tuple[Callable[[Context], int], str, tuple[str, ...]]] = {
    "list": (_list, "every checkpoint with its losses, size and marks", ("--json",)),
    "show": (_show, "one checkpoint with its manifest and its run's settings", ("checkpoint", "--json")),
    "verify": (
        _verify,
        "read every byte and compare it with what was published (default: all)",
        ("checkpoints", "--json"),
    ),
    "diff": (_diff, "what differs between two checkpoints: metrics and settings", ("one", "two", "--json")),
    "pin": (_pin, "never delete this checkpoint", ("checkpoint", "--off")),
    "note": (_note, "write a note on a checkpoint", ("checkpoint", "text")),
    "prune": (
        _prune,
        "delete what nothing needs and what is quarantined (default: all of it); shows it first",
        ("checkpoints", "--yes"),
    ),
    "take": (
        _take,
        "make another seed's run the run of its step; without RUN: take over the checkpoints of the place that this "
        "workspace was moved from",
        ("seed_run",),
    ),
    "export": (
        _export,
        "write a model folder that asks and grades as trained, with grader and model card",
        ("checkpoint", "target", "--adapter", "--merge", "--dtype", "--way", "--verify"),
    ),
    "generate": (_generate, "answer a prompt", ("checkpoint", "prompt", "--against")),
    "evaluate": (_evaluate, "score a checkpoint on the hold-out", ("checkpoint",)),
}
