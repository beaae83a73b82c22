"""Files that hold secrets: read where they are their owner's alone, refused everywhere else, without waiting."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from opeddev_tui.config.private_files import private_text
from opeddev_tui.errors import SettingsProblem

SECRET = "a-secret-0123456789"


def _write(path: Path, mode: int = 0o600, content: bytes = SECRET.encode()) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def test_a_file_of_its_own_is_read_and_none_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert private_text(path, "a secret") == ""
    _write(path)
    assert private_text(path, "a secret") == SECRET
    (tmp_path / "link").symlink_to(path)
    assert private_text(tmp_path / "link", "a secret") == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_what_others_may_read_or_write_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    _write(path, mode)
    with pytest.raises(SettingsProblem, match=r"holds a secret, and others may .* chmod 600") as raised:
        private_text(path, "a secret")
    assert SECRET not in str(raised.value)


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "pipe": (os.mkfifo, "it is a pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "link": (lambda path: path.symlink_to(path.parent / "gone"), "a link to nothing"),
    "bytes": (lambda path: _write(path, content=b"\xff\xfe\0"), "it is not UTF-8"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_text_file_is_named(tmp_path: Path, kind: str) -> None:
    make, words = OTHERS[kind]
    path = tmp_path / "secret"
    make(path)
    with pytest.raises(SettingsProblem, match=words):
        private_text(path, "a secret")
