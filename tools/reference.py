"""Write from the code: docs/commands.md, docs/settings.md, docs/keys.md, config.toml, the README's table of commands.

python tools/reference.py          writes them
python tools/reference.py --check  writes nothing; names the files that are out of date, exit code 1 if there are any
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import fields

from opeddev_tui.cli import EXIT_CODES, build_parser
from opeddev_tui.config import described, loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.keys import SCREEN_KEYS, TABLES

ROOT = Path(__file__).resolve().parent.parent
NOTICE = "<!-- Written by tools/reference.py from the code. Change the code, then run: just reference -->"
_MARKED = re.compile(r"(<!-- commands -->\n).*?(<!-- end of commands -->)", re.DOTALL)
# argparse wraps at the width of the terminal; a reference must not depend on it
_WIDTH = 100


def command_parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield (name, parser) of every command, in the order of the help."""
    parser = build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _help(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.RawDescriptionHelpFormatter
    parser.formatter_class = lambda prog: formatter(prog, max_help_position=32, width=_WIDTH)  # type: ignore[assignment]
    return parser.format_help().strip()


def _nested(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a command's parser, then those of its own subcommands (``checkpoints list`` and so on)."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _nested(child)


def commands_page() -> str:
    """Return docs/commands.md: the help of every command and subcommand."""
    parts = [
        "# Commands",
        NOTICE,
        "Without a command, `opeddev-tui [WORKSPACE]` opens the app. Every option is also shown by `--help`.",
    ]
    for name, parser in command_parsers():
        parts.append(f"## {name}")
        parts += [f"```text\n{_help(each)}\n```" for each in _nested(parser)]
    parts.append(f"## Exit codes\n\n```text\n{EXIT_CODES.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Return docs/settings.md: one table per section of config.toml."""
    parts = [
        "# Settings",
        NOTICE,
        "Set them in a workspace's `config.toml`, in the app, with `--set section.key=value`, or as "
        "`OPEDDEV_SECTION__KEY`. Later ones win: defaults < `config.toml` < saved by the app < environment < `--set`.",
    ]
    defaults = msgspec.to_builtins(Settings())
    for section, kind in described.sections().items():
        parts.append(f"## {section}\n\n{(kind.__doc__ or '').strip()}")
        rows = ["| setting | default | values | what it does |", "| --- | --- | --- | --- |"]
        for item in fields(kind):
            text, values = described.describe(section, item.name)
            default = described.toml_value(defaults[section][item.name])
            rows.append(f"| `{item.name}` | `{_cell(default)}` | {_cell(values)} | {_cell(text)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def keys_page() -> str:
    """Return docs/keys.md: one table per part of the screen, with the names that [keys] takes."""
    keymap = Keymap()
    parts = [
        "# Keys",
        NOTICE,
        "Every key can be another one: `[keys]` in a workspace's `config.toml` gives an action a key, or a list of "
        "keys. The first part of a name may be left out where only one action has the rest. A key is a character "
        '(`"y"`, `"?"`), or a name: `"enter"`, `"escape"`, `"space"`, `"tab"`, `"f5"`, `"pageup"`, `"ctrl+e"`, '
        '`"alt+1"`, `"shift+tab"`.',
        '```toml\n[keys]\nmonitor.continue = "Y"\nmonitor.next-pane = ["tab", "ctrl+n"]\n```',
        "The screen, its help, the palette and all hints name your keys then, also while the app is open. An unknown "
        "name or key, two actions on one key of one screen, and keys that must stay (ctrl+c, ctrl+z) are refused with "
        "a sentence. `opeddev-tui doctor` prints what you changed.",
    ]
    titles = {keys[0].table: title for sections in SCREEN_KEYS.values() for title, keys in sections}
    for name, rows in TABLES.items():
        lines = ["| key | name | what it does |", "| --- | --- | --- |"]
        for row in keymap.keys(rows):
            lines.append(f"| {_cell(row.display)} | `{row.name}` | {_cell(row.help)} |")
        parts.append(f"## {titles.get(name, name.capitalize())}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _value(action: argparse.Action) -> str:
    """Return what a person writes for an argument: one of its choices, or the name of its value."""
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def usage(name: str, parser: argparse.ArgumentParser) -> str:
    """Return a command with its own arguments: without --help and what every command takes."""
    positional, optional = [], []
    required = {
        action for group in parser._mutually_exclusive_groups if group.required for action in group._group_actions
    }
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        if action.dest in ("help", "overrides") or action.option_strings[-1:] == ["--workspace"]:
            continue
        if not action.option_strings:
            positional.append(f"[{_value(action)}]" if action.nargs == "?" else _value(action))
        elif action in required:
            optional.append(f"{action.option_strings[-1]} {_value(action)}")
        else:
            value = "" if action.nargs == 0 else f" {_value(action)}"
            optional.append(f"[{action.option_strings[-1]}{value}]")
    return " ".join([name, *positional, *([" | ".join(optional)] if required else optional)])


def readme_page(text: str) -> str:
    """Return the README with its table of commands written again."""
    rows = [
        f"| `{_cell(usage(name, parser))}` | {_cell((parser.description or '').rstrip('.'))} |"
        for name, parser in command_parsers()
    ]
    table = "\n".join(["| command | |", "| --- | --- |", *rows])
    return _MARKED.sub(lambda marks: f"{marks[1]}{table}\n{marks[2]}", text)


def pages() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs" / "commands.md": commands_page(),
        ROOT / "docs" / "settings.md": settings_page(),
        ROOT / "docs" / "keys.md": keys_page(),
        ROOT / "config.toml": loading.render_default(),
        readme: readme_page(readme.read_text(encoding="utf-8")),
    }


def outdated() -> list[Path]:
    """Return the generated files that are missing or differ from what the code gives."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Write the files, or check them; return the exit code."""
    if "--check" in sys.argv[1:]:
        names = [str(path.relative_to(ROOT)) for path in outdated()]
        if names:
            print(f"out of date: {', '.join(names)}. Run: python tools/reference.py")
        return 1 if names else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
