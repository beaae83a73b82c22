"""``push``: export a checkpoint and send it to a repository of the Hugging Face Hub, once a person saw what leaves.

The training stack is loaded when the checkpoint is written. Must not send anything without ``--yes``.
"""

import argparse
import tempfile
from pathlib import Path

from opeddev_tui.checkpoints import catalog
from opeddev_tui.commands.options import add_from, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.format import size
from opeddev_tui.text import clean_line


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    parser.add_argument("repository", metavar="OWNER/NAME", help="the repository; it is made if it is missing")
    add_from(parser, "which checkpoint (default: best)", default="best", base=False)
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--private", action="store_true", help="only its owner sees it (default)")
    seen.add_argument("--public", action="store_true", help="everybody sees it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--adapter", action="store_true", help="LoRA: the adapter alone")
    form.add_argument("--merge", action="store_true", help="LoRA: merged into a copy of its base")
    parser.add_argument("--dtype", choices=("bf16", "fp16", "fp32"), help="of the weights (default: export.dtype)")
    parser.add_argument("--yes", action="store_true", help="send it; without, only what would leave is shown")


def run(options: argparse.Namespace) -> int:
    """Show what leaves the machine, and with ``--yes`` send it."""
    from opeddev_tui.exporting.push import push, push_environment, require_name, token_of

    workspace, loaded = open_workspace(options)
    console, environment = CleanConsole(workspace.root), push_environment()
    require_name(options.repository)
    if options.yes:
        token_of(environment)
    from opeddev_tui.exporting.folder import Form, export, told

    workspace.adopt()
    entry = catalog.find_entry(catalog.list_entries(workspace), options.source)
    adapter = True if options.adapter else False if options.merge else None
    place = workspace.path(".specs")
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix="push-") as folder:
        with CleanConsole(stderr=True).status(f"exporting {clean_line(entry.name)}"):
            exported = export(
                workspace, entry, loaded.settings, Path(folder) / "export", Form(adapter, options.dtype or "")
            )
        _show(console, [*told(entry, exported)][1:])
        _show(console, _what_leaves(exported.folder, options.repository, public=options.public))
        if not options.yes:
            _show(console, ["Nothing was sent. Add --yes to send it."])
            return 0
        message = f"Step {entry.step}, epoch {entry.epoch:g}, run {entry.run}"
        with CleanConsole(stderr=True).status("sending"):
            done = push(
                exported.folder, options.repository, public=options.public, message=message, environment=environment
            )
    seen = "private" if done.private else "public"
    _show(console, [f"All of it is at {done.address} ({seen}), commit {done.commit[:12]}."])
    if done.others:
        _show(console, [f"Files that were there before stay: {', '.join(done.others)}."])
    return 0


def _what_leaves(folder: Path, repository: str, *, public: bool) -> list[str]:
    from opeddev_tui.exporting.push import leaving

    files = leaving(folder)
    total = sum(item.size for item in files)
    seen = "which everybody can read" if public else "private"
    return [
        f"To {repository}, {seen}: {len(files)} files, {size(total)}",
        *(f"  {item.size:>13,} bytes  {item.name}" for item in files),
    ]


def _show(console: CleanConsole, lines: list[str]) -> None:
    for line in lines:
        console.say(line, soft_wrap=True)
