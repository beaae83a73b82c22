"""Read the addresses of notice services from the environment or a private file.

Addresses hold secrets: the file must be readable by its owner alone, and messages show only the kind of an address.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from opeddev_tui.errors import SettingsProblem

VARIABLE = "OPEDDEV_NOTIFY_URLS"
FILE_NAME = "notify_urls"


def address_file() -> Path:
    """Return the private file with one address per line (``~/.config/opeddev-tui/notify_urls``)."""
    return platformdirs.user_config_path("opeddev-tui") / FILE_NAME


def read_addresses(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the Apprise URLs of the environment, else those of the private file.

    Raises ``SettingsProblem`` if others could read the file.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "")
    lines = (text if text.strip() else _private_text(address_file())).splitlines()
    return [address for line in lines if not line.lstrip().startswith("#") for address in line.split()]


def _private_text(path: Path) -> str:
    """Return the content of ``path``, empty if it does not exist."""
    try:
        # without waiting for a device or pipe; the mode that is checked is that of the opened file
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise SettingsProblem(
                    "holds addresses of services, and others may read or own it.",
                    where=str(path),
                    cure=f"Make it yours alone: chmod 600 {path}",
                )
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsProblem(f"cannot be read: {reason}.", where=str(path)) from None


def masked(address: str) -> str:
    """Return ``address`` with everything but its kind hidden: slack://***"""
    scheme = re.match(r"([a-z][a-z0-9+.-]{0,20})://", address, re.IGNORECASE)
    return f"{scheme[1].lower()}://***" if scheme else "***"
