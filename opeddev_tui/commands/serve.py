"""``serve``: the grader as an HTTP service on this machine."""

import argparse
import functools
import importlib.util
import os
import sys

from opeddev_tui.commands.options import WHAT_GRADES, add_from, add_workspace, open_workspace
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.format import plural
from opeddev_tui.runs import log
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.terminal.signals import received


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_workspace(parser)
    add_from(parser, WHAT_GRADES)
    parser.add_argument("--host", help="the address to listen on (setting serve.host)")
    parser.add_argument("--port", help="the port to listen on; 0 takes a free one (setting serve.port)")


def _require_packages() -> None:
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsProblem(
            f"the service needs {' and '.join(missing)}, which is not installed.",
            cure='Install it: pip install "opeddev-tui[serve]".',
        )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes; return its exit code."""
    _require_packages()
    extra = [f"serve.host={options.host}"] if options.host is not None else []
    extra += [f"serve.port={options.port}"] if options.port is not None else []
    workspace, loaded = open_workspace(options, extra)
    serve = loaded.settings.serve
    from opeddev_tui.serving.choice import choose
    from opeddev_tui.serving.http.address import listening, read_token, url_of

    token = read_token()
    # what is wrong with it is said before a port is taken and a model loaded
    choice = choose(workspace, loaded.settings, options.source)
    with listening(serve.host, serve.port, token) as listener:
        from opeddev_tui.serving.grader import Grader
        from opeddev_tui.serving.http.server import Service

        console = CleanConsole()
        log.to_file(workspace.log)

        def ready(grader: Grader) -> None:
            for note in grader.notes:
                console.print(f"Note: {note}")
            console.print(f"Ready: {grader.choice.named}. {graded_by(grader.choice.way)}")
            console.print("Ctrl+C stops the service.")

        console.print(
            f"Listening on {url_of(listener)} (its page: {url_of(listener)}/docs). The model is being loaded."
        )
        opener = functools.partial(Grader.open, workspace, loaded.settings, choice=choice, texts=serve.texts)
        service = Service(opener, serve, listener, token, ready)
        with received(lambda _name: service.stop()) as signals:
            ended = service.run()
    console.print(f"Stopped by {signals.name}: {plural(service.figures.total('graded'), 'submission')} graded.")
    code = signals.exit_code or 0
    if not ended:
        # its thread is inside a batch that does not end: Python would abort where it ends beside such a thread
        sys.stdout.flush()
        os._exit(code)
    return code
