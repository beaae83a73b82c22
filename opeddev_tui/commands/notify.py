"""``notify``: try the notices."""

import argparse

from opeddev_tui.commands.options import add_workspace, load_settings
from opeddev_tui.notices.addresses import VARIABLE, address_file
from opeddev_tui.notices.delivery import Deliver, services
from opeddev_tui.notices.rules import Notice
from opeddev_tui.notices.terminal import terminal

TEST = Notice("epoch_finished", "opeddev: a test notice", "If you can read this, notices reach you here.")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("what", choices=("test",), help="test: send a notice everywhere that is configured")
    add_workspace(parser)
    parser.epilog = (
        f"Addresses of services are Apprise URLs (https://github.com/caronc/apprise), one a line, in the environment "
        f"variable {VARIABLE} or in {address_file()} (chmod 600). They are never logged nor shown."
    )


def run(options: argparse.Namespace) -> int:
    """Send the test notice; 1 if it could not be sent everywhere, or there is nowhere to send it."""
    _, loaded = load_settings(options)
    ways: list[tuple[str, Deliver]] = []
    found = terminal() if loaded.settings.notify.terminal else None
    if found is not None:
        ways.append(("terminal", found))
    ways += services()
    if not ways:
        print(f"There is nowhere to send a notice: no terminal here, nothing in {VARIABLE} or {address_file()}.")
        return 1
    failed = 0
    for name, deliver in ways:
        problem = deliver(TEST)
        failed += problem is not None
        print(f"{name}: {'sent' if problem is None else problem}")
    return 1 if failed else 0
