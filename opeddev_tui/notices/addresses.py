"""Read the addresses of notice services from the environment or a private file.

Addresses hold secrets: the file must be readable by its owner alone, and messages show only the kind of an address.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from opeddev_tui.config.private_files import own_folder, private_text

VARIABLE = "OPEDDEV_NOTIFY_URLS"
FILE_NAME = "notify_urls"


def address_file() -> Path:
    """Return the private file with one address per line (``~/.config/opeddev-tui/notify_urls``)."""
    return own_folder() / FILE_NAME


def read_addresses(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the Apprise URLs of the environment, else those of the private file.

    Raises ``SettingsProblem`` if others could read the file.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "")
    lines = (text if text.strip() else private_text(address_file(), "addresses of services")).splitlines()
    return [address for line in lines if not line.lstrip().startswith("#") for address in line.split()]


def masked(address: str) -> str:
    """Return ``address`` with everything but its kind hidden: slack://***"""
    scheme = re.match(r"([a-z][a-z0-9+.-]{0,20})://", address, re.IGNORECASE)
    return f"{scheme[1].lower()}://***" if scheme else "***"
