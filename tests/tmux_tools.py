"""Run a real tmux for tests and reliability scripts: a server of its own with one window, and what that shows."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from pty_tools import Terminal, until


class Tmux:
    """A tmux server that ends with the block."""

    def __init__(self, folder: Path) -> None:
        self._server = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]

    def __enter__(self) -> Tmux:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call("kill-server", check=False)

    def start(self, shell: str, *, columns: int = 100, lines: int = 30, **environment: str) -> None:
        """Run a shell command in a new session that no client shows."""
        size = ["-x", str(columns), "-y", str(lines)]
        variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        self.call("new-session", "-d", *size, *variables, f"sh -c {shlex.quote(shell)}")

    def call(self, *words: str, check: bool = True) -> str:
        """Give a command to the server and return what it prints."""
        done = subprocess.run([*self._server, *words], capture_output=True, text=True, check=check, timeout=20)
        return done.stdout

    def attach_words(self) -> list[str]:
        """Return the command line of a client."""
        return [*self._server, "attach-session"]

    def screen(self) -> str:
        """Return what the pane shows."""
        return self.call("capture-pane", "-p")

    def shows(self, text: str) -> bool:
        """Return whether ``text`` is on the pane."""
        return text in self.screen()

    def value(self, *names: str) -> list[str]:
        """Return format variables of the pane."""
        joined = "\t".join(f"#{{{name}}}" for name in names)
        return self.call("display-message", "-p", joined).rstrip("\n").split("\t")

    def press(self, *keys: str) -> None:
        """Type."""
        self.call("send-keys", *keys)


@contextlib.contextmanager
def permissive_tmux(folder: Path) -> Iterator[tuple[Tmux, Terminal]]:
    """A tmux that lets programs do all it can be told to, with a client in a terminal; ``folder`` is for its files."""
    folder.mkdir(exist_ok=True)
    with Tmux(folder) as tmux:
        tmux.start("cat", columns=120, lines=40)
        for words in (
            ("set-option", "-g", "set-clipboard", "on"),
            ("set-option", "-g", "allow-passthrough", "on"),
            ("set-option", "-g", "allow-rename", "on"),
            ("set-option", "-g", "automatic-rename", "off"),
            ("set-option", "-g", "set-titles", "on"),
            ("set-option", "-g", "mouse", "on"),
            ("set-option", "-s", "extended-keys", "on"),
            ("set-option", "-g", "status", "off"),
        ):
            tmux.call(*words, check=False)
        terminal = Terminal(120, 40)
        client = terminal.spawn(tmux.attach_words())
        try:
            until(lambda: tmux.call("list-clients"), 10, "the client")
            yield tmux, terminal
        finally:
            tmux.call("kill-server", check=False)
            client.wait(10)
            terminal.close()


def window(tmux: Tmux, folder: Path, *words: str) -> None:
    """Run a program in a new window that is shown."""
    variables = [
        f"{name}={os.environ[name]}" for name in ("HOME", "PYTHONPATH", "HF_HUB_OFFLINE") if name in os.environ
    ]
    options = [word for variable in variables for word in ("-e", variable)]
    tmux.call("new-window", "-n", "shown", "-c", str(folder), *options, *words)
