"""``notify``: send a test notice to the terminal and to every configured service."""

import argparse

from opeddev_tui.commands.options import add_workspace, open_folder
from opeddev_tui.notices.addresses import FILE_NAME, VARIABLE, address_file
from opeddev_tui.notices.delivery import Deliver, services
from opeddev_tui.notices.rules import Notice
from opeddev_tui.notices.terminal import terminal

TEST = Notice("epoch_finished", "opeddev: a test notice", "If you can read this, notices reach you here.")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("what", choices=("test",), help="test: send a notice everywhere that is configured")
    add_workspace(parser)
    parser.epilog = (
        f"Addresses of services are Apprise URLs (https://github.com/caronc/apprise), one per line, in the environment "
        f"variable {VARIABLE} or in ~/.config/opeddev-tui/{FILE_NAME} (chmod 600). They are never logged or shown."
    )


def run(options: argparse.Namespace) -> int:
    """Send the test notice; return 1 if a delivery failed or there is nowhere to send it."""
    _, loaded = open_folder(options)
    deliveries: list[tuple[str, Deliver]] = list(services())
    to_terminal = terminal() if loaded.settings.notify.terminal else None
    if to_terminal is not None:
        deliveries.insert(0, ("terminal", to_terminal))
    if not deliveries:
        print(f"There is nowhere to send a notice: no terminal here, nothing in {VARIABLE} or {address_file()}.")
        return 1
    failed = 0
    for name, deliver in deliveries:
        problem = deliver(TEST)
        failed += problem is not None
        print(f"{name}: {'sent' if problem is None else problem}")
    return 1 if failed else 0
