"""Heads and features on disk: the same after loading, refused elsewhere, damaged files are told."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest
from grading_samples import FIVE, graded_features
from msgspec.structs import replace
from test_criteria import made_rows

from opeddev_tui.config import settings as st
from opeddev_tui.errors import ModelProblem, StorageProblem
from opeddev_tui.grading.feature_cache import FeatureCache, short_hash
from opeddev_tui.grading.graded_rows import areas_of_rows
from opeddev_tui.grading.head import fit_head
from opeddev_tui.grading.intervals import Estimate
from opeddev_tui.grading.step_head import fit_step
from opeddev_tui.grading.store import (
    DESCRIPTION_NAME,
    WEIGHTS_NAME,
    Origin,
    StoredHead,
    has_head,
    load_head,
    save_head,
)

ORIGIN = Origin(base="b" * 64, prompt="p" * 16, layers=(6, 9, 12, 15, 18), model="base")


def saved(folder: Path) -> StoredHead:
    features, rows, _ = made_rows(90)
    fitted = fit_step(features, rows, FIVE, areas_of_rows(rows, FIVE, st.Grading()))
    stored = StoredHead(ORIGIN, fitted.head, fitted.criteria, fitted.measured)
    assert [path.name for path in save_head(folder, stored)] == [WEIGHTS_NAME, DESCRIPTION_NAME]
    return stored


def loaded(folder: Path) -> StoredHead:
    return load_head(folder, base=ORIGIN.base, prompt=ORIGIN.prompt)


def test_a_loaded_head_grades_to_the_last_bit_as_the_saved_one(tmp_path: Path) -> None:
    stored = saved(tmp_path)
    again = loaded(tmp_path)
    new, rows, _ = made_rows(40, seed=5)
    one, two = (item.head.grades(new, rows.kinds) for item in (stored, again))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(stored.head.sets(one), again.head.sets(two))
    assert stored.criteria is not None
    assert again.criteria is not None
    chances = [item.probabilities(new, rows.kinds, rows.prompts) for item in (stored.criteria, again.criteria)]
    np.testing.assert_array_equal(*chances)
    assert stored.criteria.named(chances[0]) == again.criteria.named(chances[1])
    assert again.criteria.areas.style == stored.criteria.areas.style
    assert (again.origin, again.out_of_fold) == (stored.origin, stored.out_of_fold)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "one")
    saved(tmp_path / "two")
    for name in (WEIGHTS_NAME, DESCRIPTION_NAME):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_head_without_criteria_and_with_unknown_intervals_comes_back(tmp_path: Path) -> None:
    features, labels = graded_features(40)
    figures = {"kappa": Estimate(0.5, float("nan"), float("nan"))}
    save_head(tmp_path, StoredHead(ORIGIN, fit_head(features, labels, FIVE).head, None, figures))
    again = loaded(tmp_path)
    assert again.criteria is None
    assert np.isnan(again.out_of_fold["kappa"].low)


@pytest.mark.parametrize(("changed", "word"), [("base", "model"), ("prompt", "prompt template")])
def test_a_head_is_refused_on_another_base_or_prompt(tmp_path: Path, changed: str, word: str) -> None:
    saved(tmp_path)
    hashes = {"base": ORIGIN.base, "prompt": ORIGIN.prompt, changed: "0" * 20}
    with pytest.raises(ModelProblem, match=f"fitted on another {word}") as caught:
        load_head(tmp_path, **hashes)
    assert DESCRIPTION_NAME in caught.value.where
    assert caught.value.cure


@pytest.mark.parametrize("name", [WEIGHTS_NAME, DESCRIPTION_NAME])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_damaged_files_are_told(tmp_path: Path, name: str, damage: str) -> None:
    saved(tmp_path)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"flip": bytes(content), "cut": path.read_bytes()[:-30], "empty": b""}[damage])
    with pytest.raises(StorageProblem, match="grade head cannot be read"):
        loaded(tmp_path)


@pytest.mark.parametrize("change", [{"kinds": ["html"]}, {"intercepts": [1.0, 2.0]}, {"intercepts": "x"}])
def test_a_description_that_does_not_fit_its_weights_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    saved(tmp_path)
    described = json.loads((tmp_path / DESCRIPTION_NAME).read_text())
    described["linear"].update(change)
    (tmp_path / DESCRIPTION_NAME).write_text(json.dumps(described))
    with pytest.raises(StorageProblem):
        loaded(tmp_path)


def test_weights_that_are_not_finite_are_never_used(tmp_path: Path) -> None:
    features, labels = graded_features(40)
    head = fit_head(features, labels, FIVE).head
    broken = head.linear.weights.copy()
    broken[0, 0, 0] = np.nan
    save_head(tmp_path, StoredHead(ORIGIN, replace(head, linear=replace(head.linear, weights=broken)), None, {}))
    with pytest.raises(StorageProblem, match="not finite"):
        loaded(tmp_path)


def test_a_checkpoint_of_an_earlier_version_has_no_head(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert not has_head(tmp_path)
    saved(tmp_path)
    assert has_head(tmp_path)


def test_no_row_leaves_with_a_head(tmp_path: Path) -> None:
    saved(tmp_path)
    everything = (tmp_path / WEIGHTS_NAME).read_bytes() + (tmp_path / DESCRIPTION_NAME).read_bytes()
    assert b"code 7" not in everything
    assert b"something on line" not in everything


# --- features


def test_features_come_back_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, base="b", prompt="p", layers=[1, 2])
    rows = {short_hash(row): np.arange(6, dtype=np.float32) + row for row in range(5)}
    cache.add(dict(list(rows.items())[:3]))
    cache.add(dict(list(rows.items())[3:]))
    found = cache.load([*rows, "unknown"])
    assert found.keys() == rows.keys()
    for key, values in rows.items():
        np.testing.assert_array_equal(found[key], values)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in cache.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("other", [{"base": "x"}, {"prompt": "x"}, {"layers": [1]}])
def test_another_base_prompt_or_depth_has_features_of_its_own(tmp_path: Path, other: dict[str, object]) -> None:
    known = {"base": "b", "prompt": "p", "layers": [1, 2]}
    FeatureCache(tmp_path, **known).add({"k": np.zeros(3, np.float32)})  # type: ignore[arg-type]
    assert FeatureCache(tmp_path, **{**known, **other}).load(["k"]) == {}  # type: ignore[arg-type]


def test_a_damaged_cache_file_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, base="b", prompt="p", layers=[1])
    cache.add({"one": np.zeros(3, np.float32)})
    cache.add({"two": np.ones(3, np.float32)})
    first = sorted(cache.folder.iterdir())[0]
    first.write_bytes(first.read_bytes()[:20])
    (cache.folder / "noise.safetensors").write_bytes(b"\xff" * 100)
    assert len(cache.load(["one", "two"])) == 1
