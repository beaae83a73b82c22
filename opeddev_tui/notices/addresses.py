"""Owns where the addresses of notice services come from.

They hold secrets: nobody else may be able to read the file, and no message shows more of an address than its kind.
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
    """Return the private file with addresses, one a line (``~/.config/opeddev-tui/notify_urls``)."""
    return platformdirs.user_config_path("opeddev-tui") / FILE_NAME


def read_addresses(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the Apprise URLs of the environment, else those of the private file.

    Raises ``SettingsProblem`` where others could read the file.
    """
    known = (os.environ if environment is None else environment).get(VARIABLE, "")
    text = known if known.strip() else _private_text(address_file())
    lines = [line.strip() for line in text.splitlines()]
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def _private_text(path: Path) -> str:
    """Return the content of ``path``, empty where it does not exist."""
    try:
        # not a device or a pipe that would keep us waiting; its mode is that of the file that is read
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
    """Return all of an address that may be shown: its kind."""
    scheme = re.match(r"([a-z][a-z0-9+.-]{0,20})://", address, re.IGNORECASE)
    return f"{scheme[1].lower()}://***" if scheme else "***"
