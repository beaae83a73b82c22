"""``checkpoints``: list, show, verify, compare, pin, note, prune, delete, export and try checkpoints."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opeddev_tui import catalog, checkpoints, pruning
from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.config import LoadedSettings
from opeddev_tui.errors import StorageProblem
from opeddev_tui.format import duration, number, share, size
from opeddev_tui.history import read_run
from opeddev_tui.manifest import difference, settings_of
from opeddev_tui.text import clean, clean_line
from opeddev_tui.workspace import Workspace

NAMES = "latest, best, step1, step1:3 (its epoch), run/checkpoint-75, or a folder"


class Context(msgspec.Struct):
    """What every action needs."""

    workspace: Workspace
    loaded: LoadedSettings
    options: argparse.Namespace
    console: Console
    entries: list[catalog.Entry]

    def find(self, reference: str) -> catalog.Entry:
        """Return the checkpoint that ``reference`` names."""
        return catalog.find_entry(self.entries, reference)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.epilog = f"A CHECKPOINT is {NAMES}."
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, (run_action, summary, arguments) in _ACTIONS.items():
        sub = actions.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=parser.epilog
        )
        for flags, extra in arguments:
            sub.add_argument(*flags, **extra)
        add_workspace(sub)
        sub.set_defaults(action=run_action)


def run(options: argparse.Namespace) -> int:
    """Carry out the action."""
    root, loaded = load_settings(options)
    workspace = Workspace(root, loaded.settings.paths)
    context = Context(workspace, loaded, options, Console(), catalog.list_entries(workspace))
    action: Callable[[Context], int] = options.action
    return action(context)


def as_json(entry: catalog.Entry) -> dict[str, Any]:
    """Return ``entry`` as documented in docs/json.md."""
    return {"name": entry.name, **msgspec.to_builtins(entry, enc_hook=str)}


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))


def _list(context: Context) -> int:
    if context.options.json:
        _print_json([as_json(entry) for entry in context.entries])
        return 0
    for run in dict.fromkeys(entry.run for entry in context.entries):
        mine = [entry for entry in context.entries if entry.run == run]
        context.console.print(_run_table(run, mine), "")
    if words := context.workspace.copy_words:
        context.console.print(Text(clean_line(f"{words[0].upper()}{words[1:]}")), soft_wrap=True)
    if not context.entries:
        context.console.print("No checkpoint yet. Train a step first: opeddev-tui train.")
    return 0


def _run_table(run: str, entries: list[catalog.Entry]) -> Table:
    parent = entries[-1].parent
    origin = f"{Path(parent).parent.name}/{Path(parent).name}" if parent else "the base model"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    # the name is what other commands ask for: never cut, whatever the width
    for name in ("checkpoint", "epoch", "hold-out", "gain in the step (95 %)", "exact", "size", "age"):
        table.add_column(name, no_wrap=True)
    table.add_column("marks")
    table.title = Text(clean_line(f"step {entries[-1].step}, {entries[-1].rows} rows: {run}, grown from {origin}"))
    table.title_justify = "left"
    for entry in entries:
        table.add_row(*(Text(cell) for cell in _row(entry)))
    return table


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
        size(entry.size),
        duration(max(0.0, time.time() - entry.created)),
        marks,
    ]


def _show(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    problems = checkpoints.problems_of(entry.folder)
    settings = settings_of(context.workspace.run_manifest(entry.run))
    if context.options.json:
        _print_json({**as_json(entry), "problems": problems, "settings": settings})
        return 0
    for name, value in as_json(entry).items():
        context.console.print(Text(f"{name:12} {clean_line(str(value))}"))
    context.console.print(Text("state        " + ("verified" if not problems else "damaged: " + "; ".join(problems))))
    return 0


def _verify(context: Context) -> int:
    wanted = [context.find(name) for name in context.options.checkpoint] or context.entries
    found = [(entry, checkpoints.problems_of(entry.folder)) for entry in wanted]
    if context.options.json:
        _print_json([{"name": entry.name, "verified": not problems, "problems": problems} for entry, problems in found])
    else:
        for entry, problems in found:
            words = "damaged: " + "; ".join(problems) if problems else "verified"
            context.console.print(Text(f"{entry.name}: {words}"))
    return StorageProblem.exit_code if any(problems for _, problems in found) else 0


def _diff(context: Context) -> int:
    one, two = context.find(context.options.one), context.find(context.options.two)
    pairs = [
        *difference(as_json(one), as_json(two)),
        *difference(
            settings_of(context.workspace.run_manifest(one.run)),
            settings_of(context.workspace.run_manifest(two.run)),
            "settings.",
        ),
    ]
    if context.options.json:
        _print_json([{"name": name, "one": a, "two": b} for name, a, b in pairs])
        return 0
    table = Table("", clean_line(one.name), clean_line(two.name))
    for name, a, b in pairs:
        table.add_row(Text(name), Text(clean_line(str(a))), Text(clean_line(str(b))))
    context.console.print(table)
    return 0


def _pin(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    catalog.annotate(context.workspace, entry, pinned=not context.options.off)
    context.console.print(Text(f"{entry.name} {'is no longer' if context.options.off else 'is'} pinned."))
    return 0


def _note(context: Context) -> int:
    entry = context.find(context.options.checkpoint)
    catalog.annotate(context.workspace, entry, note=context.options.text)
    context.console.print(Text(f"Noted on {entry.name}."))
    return 0


def _prune(context: Context) -> int:
    wanted = [context.find(name) for name in context.options.checkpoint] or None
    aside = pruning.list_aside(context.workspace) if wanted is None else []
    removal = pruning.plan_removal(context.entries, wanted, aside)
    verb = "goes" if context.options.yes else "would go"
    for entry, reason in removal.stays:
        context.console.print(Text(f"stays: {entry.name} ({reason})"))
    for entry in removal.goes:
        context.console.print(Text(f"{verb}: {entry.name} ({size(entry.size)})"))
    for item in removal.aside:
        words = f"{verb}: {item.name} ({size(item.size)}, damaged and put aside)"
        context.console.print(Text(clean_line(words)), soft_wrap=True)
    if context.options.yes:
        pruning.carry_out(removal)
        context.console.print(Text(f"{size(removal.freed)} freed."))
    elif removal.count:
        context.console.print(Text(f"Nothing was deleted. Add --yes to free {size(removal.freed)}."))
    return 0


def _export(context: Context) -> int:
    from opeddev_tui.export import export

    context.workspace.adopt()
    entry = context.find(context.options.checkpoint)
    record = read_run(context.workspace, entry.run)
    target = context.options.target.expanduser().absolute()
    with context.console.status(f"exporting {entry.name}"):
        export(entry, record, context.loaded.settings, target, adapter=context.options.adapter)
    context.console.print(Text(f"{entry.name} is at {target}"))
    return 0


def _generate(context: Context) -> int:
    from opeddev_tui.tryout import Tryout

    context.workspace.adopt()
    settings = context.loaded.settings
    for reference in [context.options.checkpoint, *context.options.against]:
        entry = context.find(reference)
        with context.console.status(f"loading {entry.name}"):
            tryout = Tryout(str(entry.folder), settings)
        context.console.print(Text(f"{entry.name} ({tryout.fingerprint})", style="bold"))
        for piece in tryout.stream(context.options.prompt):
            print(clean(piece), end="", flush=True)
        print()
    return 0


def _evaluate(context: Context) -> int:
    from opeddev_tui.tryout import Tryout

    context.workspace.adopt()
    entry = context.find(context.options.checkpoint)
    with context.console.status(f"scoring {entry.name} on the hold-out"):
        loss = Tryout(str(entry.folder), context.loaded.settings).holdout_loss(context.workspace)
    recorded = "" if entry.val_loss is None else f" (recorded: {entry.val_loss:.6f})"
    context.console.print(Text(f"{entry.name}: hold-out loss {loss:.6f}{recorded}"))
    return 0


_ONE: tuple[tuple[str, ...], dict[str, Any]] = (("checkpoint",), {"metavar": "CHECKPOINT"})
_SOME: tuple[tuple[str, ...], dict[str, Any]] = (("checkpoint",), {"metavar": "CHECKPOINT", "nargs": "*"})
_JSON: tuple[tuple[str, ...], dict[str, Any]] = (("--json",), {"action": "store_true", "help": "for scripts"})

_ACTIONS: dict[str, tuple[Callable[[Context], int], str, list[tuple[tuple[str, ...], dict[str, Any]]]]] = {
    "list": (_list, "every checkpoint with its losses, size and marks", [_JSON]),
    "show": (_show, "one checkpoint with its manifest and its run's settings", [_ONE, _JSON]),
    "verify": (_verify, "read every byte and compare it with what was published (default: all)", [_SOME, _JSON]),
    "diff": (
        _diff,
        "what differs between two checkpoints: metrics and settings",
        [(("one",), {"metavar": "CHECKPOINT"}), (("two",), {"metavar": "CHECKPOINT"}), _JSON],
    ),
    "pin": (
        _pin,
        "never delete this checkpoint",
        [_ONE, (("--off",), {"action": "store_true", "help": "take the pin away"})],
    ),
    "note": (_note, "write a note on a checkpoint", [_ONE, (("text",), {})]),
    "prune": (
        _prune,
        "delete what nothing needs, damaged ones put aside too (default: all of it); shows it first",
        [_SOME, (("--yes",), {"action": "store_true", "help": "delete, instead of showing what would go"})],
    ),
    "export": (
        _export,
        "write an ordinary model folder with a model card",
        [
            _ONE,
            (("target",), {"type": Path, "metavar": "FOLDER"}),
            (("--adapter",), {"action": "store_true", "help": "LoRA: the adapter alone, not merged"}),
        ],
    ),
    "generate": (
        _generate,
        "answer a prompt",
        [
            _ONE,
            (("prompt",), {}),
            (
                ("--against",),
                {"action": "append", "default": [], "metavar": "CHECKPOINT", "help": "another one, after it"},
            ),
        ],
    ),
    "evaluate": (_evaluate, "score a checkpoint on the hold-out", [_ONE]),
}
