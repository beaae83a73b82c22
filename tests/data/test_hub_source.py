"""Data sets of the hub: named, read from the cache at a recorded commit, and one clear sentence without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import COMMIT, serving
from real_files import graded_rows, jsonl

from opeddev_tui.commands.init import make_workspace
from opeddev_tui.config.settings import Paths, Settings
from opeddev_tui.data import hub_source
from opeddev_tui.data.batches import check_data, find_batches, resolve
from opeddev_tui.errors import DataProblem, SettingsProblem

OTHER = "2" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def put(hub: Path, files: dict[str, bytes], commit: str = COMMIT, branch: str = "main") -> None:
    """Put files into the cache as a download leaves them."""
    repository = hub / "datasets--someone--webdev"
    for name, content in files.items():
        path = repository / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / branch).write_text(commit)


def workspace(root: Path, base: str = "hub:someone/webdev", holdout: str = "held") -> Settings:
    root.mkdir(exist_ok=True)
    return Settings(paths=Paths(base=base, holdout=holdout, increments="more"))


SPLITS = {
    "data/train-00000-of-00001.jsonl": jsonl(graded_rows(4)),
    "data/test-00000-of-00001.jsonl": jsonl(graded_rows(3, 20)),
}


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hub:a/b", hub_source.HubSource("a/b", "", "main", "")),
        ("hub:a/b@v1.0", hub_source.HubSource("a/b", "", "v1.0", "")),
        ("hub:a/b:train", hub_source.HubSource("a/b", "", "main", "train")),
        ("hub:a/b-c.d/one/two@refs/pr/1:val", hub_source.HubSource("a/b-c.d", "one/two", "refs/pr/1", "validation")),
    ],
)
def test_a_source_is_understood(text: str, source: hub_source.HubSource) -> None:
    assert hub_source.parse(text) == source


@pytest.mark.parametrize("text", ["hub:", "hub:a", "hub:a/b@", "hub:a/b:", "hub:https://x.org/a/b", "hub:a b/c"])
def test_what_names_no_data_set_is_told(text: str, tmp_path: Path) -> None:
    (problem, *_) = check_data(tmp_path, workspace(tmp_path, text)).problems
    assert isinstance(problem, SettingsProblem)
    assert "Write hub:owner/name" in problem.cure


def test_a_data_set_is_read_from_the_cache_without_a_network(hub: Path, tmp_path: Path) -> None:
    put(hub, SPLITS)
    root = tmp_path / "ws"
    report = check_data(root, workspace(root))
    assert report.problems == []
    assert report.holdout is not None
    assert (len(report.batches[0].examples), len(report.holdout.examples)) == (4, 3)
    assert f"snapshots/{COMMIT}/data/" in report.batches[0].examples[0].where


def test_a_split_of_a_data_set_is_the_hold_out(hub: Path, tmp_path: Path) -> None:
    put(hub, SPLITS)
    root = tmp_path / "ws"
    report = check_data(root, workspace(root, "hub:someone/webdev:train", "hub:someone/webdev:test"))
    assert report.problems == []
    assert report.holdout is not None
    assert len(report.holdout.examples) == 3


def test_the_recorded_commit_stays_when_the_branch_moves_on(hub: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    settings = workspace(root)
    put(hub, SPLITS)
    (root / ".specs").mkdir()
    record = {"someone/webdev@main": {"commit": COMMIT, "files": dict.fromkeys(SPLITS, 1)}}
    (root / ".specs/hub.json").write_text(json.dumps(record))
    put(hub, {"data/train-00000-of-00001.jsonl": jsonl(graded_rows(1))}, OTHER)
    assert len(check_data(root, settings).batches[0].examples) == 4
    # one of its files is gone: not a smaller set in silence
    (hub / "datasets--someone--webdev/snapshots" / COMMIT / "data/train-00000-of-00001.jsonl").unlink()
    assert "cannot be fetched" in check_data(root, settings).problems[0].message


def test_without_cache_and_network_one_sentence_says_so(hub: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    report = check_data(root, workspace(root))
    assert {problem.where for problem in report.problems} == {"hub:someone/webdev@main"}
    assert len(report.problems) == 1
    assert "Without a network only what was fetched before can be read" in report.problems[0].cure
    assert report.problems[0].exit_code == 3
    assert not hub.exists()
    with pytest.raises(DataProblem, match="is not fetched yet"):
        find_batches(root, workspace(root).paths, fetch=False)
    assert not resolve(root, "hub:someone/webdev").exists()


def test_several_sets_in_one_repository_are_not_mixed(hub: Path, tmp_path: Path) -> None:
    put(hub, {f"{name}/{file[5:]}": content for name in ("main", "socratic") for file, content in SPLITS.items()})
    root = tmp_path / "ws"
    (problem, *_) = check_data(root, workspace(root)).problems
    assert "holds several sets: main, socratic" in problem.message
    assert "hub:someone/webdev/main" in problem.cure
    report = check_data(root, workspace(root, "hub:someone/webdev/main"))
    assert report.problems == []
    assert len(report.batches[0].examples) == 4


def test_increments_are_no_data_set_of_the_hub(hub: Path, tmp_path: Path) -> None:
    put(hub, SPLITS)
    root = tmp_path / "ws"
    root.mkdir()
    paths = Paths(base="hub:someone/webdev", increments="hub:someone/webdev", holdout="held")
    (problem, *_) = check_data(root, Settings(paths=paths)).problems
    assert "paths.increments cannot be on the hub" in problem.message


def test_a_new_workspace_makes_no_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[paths]\nbase = "hub:someone/webdev"\n')
    make_workspace(tmp_path)
    assert not list(tmp_path.glob("hub*"))


def checked(root: Path, address: str) -> str:
    """Return what reading the workspace in a process of its own says, with the hub at ``address``."""
    program = (
        "from pathlib import Path; from opeddev_tui.config import settings; from opeddev_tui.data import batches;"
        "paths = settings.Paths(base='hub:someone/webdev', holdout='held');"
        f"report = batches.check_data(Path({str(root)!r}), settings.Settings(paths=paths));"
        "print(*report.problems, *(len(batch.examples) for batch in report.batches))"
    )
    network = {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": address,
        "HF_HUB_CACHE": str(root / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env={**os.environ, **network}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_network_that_refuses_is_one_sentence_too(tmp_path: Path) -> None:
    # a port that nobody listens on
    told = checked(tmp_path, "http://127.0.0.1:9")
    assert told.startswith("hub:someone/webdev@main: cannot be fetched: ")
    assert len(told.splitlines()) == 1


def test_a_fetch_writes_its_commit_down_and_is_done_once(tmp_path: Path) -> None:
    with serving(SPLITS) as hub:
        assert checked(tmp_path, hub.address) == "4"
        files = {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}
        assert files == {name.rpartition("/")[2] for name in SPLITS}
        hub.asked.clear()
        assert checked(tmp_path, hub.address) == "4"
        assert [path for path in hub.asked if "datasets" in path] == []
    # and without the hub
    assert checked(tmp_path, hub.address) == "4"
    recorded = json.loads((tmp_path / ".specs/hub.json").read_text())
    sizes = {name: len(content) for name, content in SPLITS.items()}
    assert recorded == {"someone/webdev@main": {"commit": COMMIT, "files": sizes}}


def test_a_huge_data_set_is_not_fetched(tmp_path: Path) -> None:
    with serving(SPLITS, size=4 << 30) as hub:
        told = checked(tmp_path, hub.address)
        assert "holds 8 GiB of data files. Name one of its folders: hub:someone/webdev/data." in told
        assert not [path for path in hub.asked if "/resolve/" in path]


def test_a_data_set_without_data_files_is_told(tmp_path: Path) -> None:
    with serving({}) as hub:
        told = checked(tmp_path, hub.address)
    assert "has no data file." in told
    assert "scripts are never run" in told
