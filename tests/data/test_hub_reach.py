"""Without a network the hub is asked once, shortly, and one line says so; a hub that answers is used as ever."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_helpers import make_workspace
from hub_server import serving
from huggingface_hub import constants

from opeddev_tui.config.settings import Model
from opeddev_tui.data import hub_reach
from opeddev_tui.models import model_config

NAME = "someone/tiny"
COMMIT = "2" * 40


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the network be used, with nothing remembered of it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hub_reach._asked.cache_clear()
    yield
    hub_reach._asked.cache_clear()


def closed_address() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def put_into_cache(hub: Path, model: Path) -> None:
    """Lay ``model`` into a cache of the hub's library as it keeps a fetched one."""
    folder = hub / "models--someone--tiny"
    shutil.copytree(model, folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)


@pytest.mark.usefixtures("network")
def test_why_the_hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_address())
    assert hub_reach.why_out_of_reach() == "Connection refused"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://no-such-host.invalid")
    assert "Errno" not in hub_reach.why_out_of_reach()
    assert hub_reach.why_out_of_reach()
    with serving({}) as hub:
        # any answer will do, also that there is nothing at this place
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        assert [hub_reach.why_out_of_reach() for _ in range(3)] == [""] * 3
        assert len(hub.asked) == 1


@pytest.mark.usefixtures("network")
def test_a_hub_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_reach, "_LEAST_SECONDS", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert hub_reach.why_out_of_reach()


def test_nothing_is_asked_where_the_environment_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        assert hub_reach.why_out_of_reach() == ""
        assert hub.asked == []


@pytest.mark.parametrize(("text", "seconds"), [("", 0.0), ("30", 30.0), ("soon", 0.0)])
def test_a_person_may_allow_more_time(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", text)
    assert hub_reach.timeout_that_is_set() == seconds


@pytest.mark.usefixtures("network")
def test_the_library_asks_as_patiently_as_ever_where_the_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        with hub_reach.as_far_as_it_is(NAME):
            assert not constants.is_offline_mode()
        assert model_config.without_hub(NAME, Model()) == ""
    hub_reach._asked.cache_clear()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_address())
    with hub_reach.as_far_as_it_is(NAME):
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()
    assert model_config.without_hub(NAME, Model()) == (
        "the hub cannot be reached (Connection refused): of someone/tiny nothing was fetched before."
    )


def run(root: Path, cache: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": closed_address(), "HF_HUB_CACHE": str(cache), "HF_HOME": str(cache),
    }  # fmt: skip
    asked = [sys.executable, "-m", "opeddev_tui", *command, "-w", str(root), "--set", f"model.name={NAME}"]
    return subprocess.run(asked, env=environment, capture_output=True, text=True, check=False, timeout=300)


# each command loads the libraries for seconds: those that ask in the same way share a case
@pytest.mark.parametrize(
    ("command", "fetched"),
    [
        (("check",), True),
        (("check",), False),
        (("train",), True),
        (("race",), False),
        (("train", "--set", "lora.enabled=true"), False),
    ],
)
def test_every_command_says_it_in_one_line(
    tmp_path: Path, tiny_model: Path, command: tuple[str, ...], fetched: bool
) -> None:
    root, cache = make_workspace(tmp_path / "work", tiny_model), tmp_path / "hub"
    if fetched:
        put_into_cache(cache, tiny_model)
    done = run(root, cache, *command)
    told = " ".join((done.stdout + done.stderr).split())
    assert told.count("he hub cannot be reached (Connection refused)") == 1, told
    assert "Retry" not in told
    assert "thrown while requesting" not in told
    if fetched:
        assert f"of {NAME} what was fetched before is used." in told
        assert done.returncode == 0
    else:
        assert "fetched before" in told
        assert done.returncode == (0 if command[0] == "check" else 5)
