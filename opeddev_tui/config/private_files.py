"""The person's own configuration folder, and the files there that hold secrets: each must be its owner's alone."""

import os
import stat
from pathlib import Path

import platformdirs

from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import open_file, reason_of

# characters; no secret and no list of addresses comes near
_MOST = 1 << 20


def own_folder() -> Path:
    """Return the folder of the person's own files, for every workspace (``~/.config/opeddev-tui``)."""
    return platformdirs.user_config_path("opeddev-tui")


def private_text(path: Path, content: str) -> str:
    """Return the text of the private file at ``path``, empty if it does not exist.

    ``content`` says in a few words what it holds. Raises ``SettingsProblem`` where others could read the file, and
    where it cannot be read.
    """
    try:
        # the mode that is checked is that of the opened file: the path may lead elsewhere a moment later
        with open(open_file(path), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise SettingsProblem(
                    f"holds {content}, and others may read or own it.",
                    where=str(path),
                    cure=f"Make it yours alone: chmod 600 {path}",
                )
            return file.read(_MOST)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem(f"cannot be read: {reason_of(error)}.", where=str(path)) from None
