"""What is known of base models is remembered; a damaged record is as none and is written anew."""

import random
from pathlib import Path

import pytest
from file_faults import DAMAGE, MAY_STAY_WHOLE

from opeddev_tui.errors import StorageProblem
from opeddev_tui.training.known_bases import KnownBase, KnownBases

ONE, OTHER = KnownBase("f1", (3, 6)), KnownBase("f2", (2,))


def test_each_is_known_by_its_name(tmp_path: Path) -> None:
    bases = KnownBases(tmp_path / "grading")
    assert bases.get("a") is None
    bases.put("a", ONE)
    bases.put("b", OTHER)
    again = KnownBases(tmp_path / "grading")
    assert (again.get("a"), again.get("b"), again.get("c")) == (ONE, OTHER, None)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_as_none(tmp_path: Path, damage: str) -> None:
    """It is read without waiting, and written anew where there is no folder in its place."""
    bases = KnownBases(tmp_path)
    bases.put("a", ONE)
    DAMAGE[damage](tmp_path / "bases.json", random.Random(3))
    if damage not in MAY_STAY_WHOLE and damage != "other line ends":
        assert bases.get("a") is None
    if damage == "a folder":
        with pytest.raises(StorageProblem, match=r"^\S*/bases\.json: cannot be written: is a directory"):
            bases.put("b", OTHER)
    else:
        bases.put("b", OTHER)
        assert bases.get("b") == OTHER
