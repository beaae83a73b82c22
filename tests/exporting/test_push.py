"""Pushing sends what was shown and nothing else, to a hub on this machine; what fails is told in a sentence."""

import re
from collections.abc import Iterator
from pathlib import Path

import hub_repositories
import pytest
from exporting_helpers import Trained
from hub_repositories import TOKEN, Hub, Repository

from opeddev_tui.cli import main
from opeddev_tui.errors import HubProblem, SettingsProblem
from opeddev_tui.exporting.push import push, require_name

NAME = "someone/webdev-grader"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the client is told to use, with a token."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    # its uploads go to servers of their own, past any address that a test could give
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with hub_repositories.serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like an export."""
    made = tmp_path / "export"
    made.mkdir()
    for name, content in {
        "README.md": "---\nlicense: mit\n---\n# card",
        "grade.py": "x",
        "model.safetensors": "w",
    }.items():
        (made / name).write_text(content)
    return made


def pushed(folder: Path, hub: Hub, *, public: bool = False, token: str = TOKEN) -> object:
    environment = {"HF_TOKEN": token, "HF_ENDPOINT": hub.address}
    return push(folder, NAME, public=public, message="Step 0", environment=environment)


def test_the_command_shows_what_would_leave_and_sends_nothing_without_yes(
    full: Trained, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", NAME, "-w", str(full.root)]) == 0
    told = capsys.readouterr().out
    assert re.search(rf"To {NAME}, private: \d+ files, ", told)
    assert re.search(r"[\d,]+ bytes  model\.safetensors\n", told)
    assert "Nothing was sent. Add --yes to send it." in told
    assert hub.asked == []
    assert not list((full.root / ".specs").glob("push-*"))


def test_the_command_sends_exactly_what_it_shows_to_a_private_repository(
    full: Trained, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", NAME, "-w", str(full.root), "--yes"]) == 0
    told = capsys.readouterr()
    shown = set(re.findall(r"bytes  (\S+)\n", told.out))
    repository = hub.repositories[NAME]
    assert (set(repository.files), repository.private, repository.commits) == (shown, True, 1)
    assert {"model.safetensors", "grade.py", "grader.json", "README.md"} <= shown
    assert f"All of it is at {hub.address}/{NAME} (private), commit 0000" in told.out
    assert TOKEN not in told.out + told.err
    assert TOKEN.encode() not in b"".join(repository.files.values())


def test_a_public_repository_is_made_only_where_that_is_asked_for(folder: Path, hub: Hub) -> None:
    pushed(folder, hub, public=True)
    assert not hub.repositories[NAME].private


def test_an_existing_public_repository_is_refused_unless_asked_for(folder: Path, hub: Hub) -> None:
    hub.repositories[NAME] = Repository(private=False)
    with pytest.raises(HubProblem, match=r"the repository is public\. Nothing was sent\."):
        pushed(folder, hub)
    assert hub.repositories[NAME].files == {}
    pushed(folder, hub, public=True)
    assert set(hub.repositories[NAME].files) == {"README.md", "grade.py", "model.safetensors"}


def test_files_that_were_there_stay_and_are_named(folder: Path, hub: Hub) -> None:
    hub.repositories[NAME] = Repository(private=True)
    hub.repositories[NAME].files["notes.txt"] = b"mine"
    done = pushed(folder, hub)
    assert getattr(done, "others") == ("notes.txt",)  # noqa: B009
    assert hub.repositories[NAME].files["notes.txt"] == b"mine"


# --- what goes wrong


@pytest.mark.parametrize(
    ("fault", "words", "state", "exists"),
    [
        ({"GET /api/models": 401}, "does not accept the token", "Nothing was sent.", False),
        ({"GET /api/models": 403}, "the token may not write to someone", "Nothing was sent.", False),
        ({"GET /api/models": 0}, "the connection to the hub failed", "Nothing was sent.", False),
        ({"GET /api/models": 500}, r"answers with an error \(500\)", "Nothing was sent.", False),
        ({"POST /api/repos/create": 403}, "the token may not write to someone", "Nothing was sent.", False),
        ({"POST /api/repos/create": 409}, "somebody else changed or made", "Nothing was sent.", False),
        ({"POST /api/repos/create": 0}, "the connection to the hub failed", "Nothing was sent.", False),
        ({"POST /api/models/someone/webdev-grader/preupload": 403}, "may not write", "made and still empty", True),
        ({"POST /someone/webdev-grader.git": 429}, "asked too often", "made and still empty", True),
        ({"PUT /upload": 413}, "a file is larger than the hub takes", "made and still empty", True),
        ({"PUT /upload": 0}, "the connection to the hub failed", "made and still empty", True),
        ({"POST /api/models/someone/webdev-grader/commit": 409}, "somebody else changed", "made and still empty", True),
        ({"POST /api/models/someone/webdev-grader/commit": 0}, "the connection", "the commit may be there", True),
    ],
)
def test_every_failure_says_why_and_what_the_hub_has_by_then(
    folder: Path, hub: Hub, fault: dict[str, int], words: str, state: str, exists: bool
) -> None:
    hub.faults = fault
    with pytest.raises(HubProblem, match=words) as found:
        pushed(folder, hub)
    told = str(found.value)
    assert state in told
    assert TOKEN not in told
    assert found.value.exit_code == 9
    assert "\n" not in told
    assert (NAME in hub.repositories) == exists
    assert not any(repository.files for repository in hub.repositories.values())


def test_a_wrong_token_is_told(folder: Path, hub: Hub) -> None:
    with pytest.raises(HubProblem, match="does not accept the token"):
        pushed(folder, hub, token="hf_other")


def test_a_file_that_the_repository_leaves_out_is_told(folder: Path, hub: Hub) -> None:
    hub.ignored = {"grade.py"}
    with pytest.raises(HubProblem, match=r"lacks grade\.py: the repository's \.gitignore may leave them out"):
        pushed(folder, hub)


@pytest.mark.parametrize("token", ["", "  ", "hf_ü", "two words"])
def test_without_a_token_nothing_is_asked(folder: Path, hub: Hub, token: str) -> None:
    with pytest.raises(SettingsProblem, match="HF_TOKEN"):
        pushed(folder, hub, token=token)
    assert hub.asked == []


def test_a_token_that_a_login_left_on_the_disk_is_not_used(
    full: Trained, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    saved = Path.home() / ".cache/huggingface/token"
    saved.parent.mkdir(parents=True)
    saved.write_text(TOKEN)
    assert main(["push", NAME, "-w", str(full.root), "--yes"]) == 2
    assert "there is no token for the hub" in capsys.readouterr().err
    assert hub.asked == []


def test_an_environment_without_a_network_is_told(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SettingsProblem, match="forbids the network"):
        pushed(folder, hub)
    assert hub.asked == []


@pytest.mark.parametrize(
    "name",
    ["", "grader", "a/b/c", "../up", "some one/x", "someone/", "/x", "a/b.git", "a/b--c", "a/-b", "a/ü", "a/b\n"],
)
def test_names_that_no_repository_has_are_refused(name: str) -> None:
    with pytest.raises(SettingsProblem, match="is no name of a repository"):
        require_name(name)
