"""The service on a real socket: slow clients, many connections, a stop with requests under way, one real process."""

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_helpers import Command, copy_workspace, wait_until, workspace_of
from served import TOKEN, MadeUpGrader

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Serve
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.serving.http import address, server
from opeddev_tui.serving.http.server import Service

ROW = {"submission": "<b>x</b>"}
CANARY = "canary7f3asubmission"


class Running:
    """A service on a free port, in a thread of this process."""

    def __init__(self, grader: MadeUpGrader, **settings: Any) -> None:
        self.listener = address.listening("127.0.0.1", 0, None)
        self.url = address.url_of(self.listener)
        # the socket is closed when the service ends, its place stays what it was
        self._place = self.listener.getsockname()[:2]
        loaded = threading.Event()
        opened: Callable[[], Any] = lambda: grader  # noqa: E731 - named for its type
        self.service = Service(opened, Serve(**settings), self.listener, None, lambda _: loaded.set())
        self._thread = threading.Thread(target=self.service.run, daemon=True)
        self._thread.start()
        assert loaded.wait(60)
        while self.service.worker.grader is None:
            self.service.worker.ended(0.005)

    def ended(self, seconds: float = 60.0) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(self._place, timeout=60)


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    made: list[tuple[Running, MadeUpGrader]] = []

    def make(grader: MadeUpGrader | None = None, **settings: Any) -> Running:
        grader = grader or MadeUpGrader()
        made.append((Running(grader, **settings), grader))
        return made[-1][0]

    yield make
    for running, grader in made:
        grader.gate.set()
        running.service.stop()
        assert running.ended()
        running.listener.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /grade HTT",
        b"POST /grade HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /hea",
    ],
)
def test_a_client_that_does_not_finish_its_head_is_cut_off(run: Callable[..., Running], begun: bytes) -> None:
    running = run(client_seconds=0.3)
    with running.connect() as slow:
        slow.sendall(begun)
        assert httpx2.post(f"{running.url}/grade", json=ROW).status_code == 200
        answer = b""
        while part := slow.recv(4096):
            answer += part
        assert (b"200 OK" in answer) == begun.startswith(b"GET /health")


def test_a_client_that_does_not_finish_its_body_is_told_and_cut_off(run: Callable[..., Running]) -> None:
    running = run(client_seconds=0.3)
    with running.connect() as slow:
        slow.sendall(b"POST /grade HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        slow.sendall(b"content-length: 500\r\n\r\n{")
        answer = b""
        while part := slow.recv(4096):
            answer += part
    assert b" 408 " in answer.partition(b"\r\n")[0]
    assert b"too_slow" in answer


def test_a_refused_request_whose_body_never_ends_does_not_keep_its_connection(run: Callable[..., Running]) -> None:
    client = run(client_seconds=0.3).connect()
    client.sendall(b"POST /grade HTTP/1.1\r\nhost: elsewhere\r\ncontent-length: 1000000\r\n\r\n")
    assert client.recv(20).startswith(b"HTTP/1.1 421")
    client.settimeout(0.05)
    for _ in range(1000):
        try:
            client.sendall(b"x")
            if not client.recv(65536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        pytest.fail("it is still read")
    client.close()


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(run: Callable[..., Running]) -> None:
    running = run(max_body_bytes=1000)
    with running.connect() as client:
        client.sendall(b"POST /grade HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        client.sendall(b"content-length: 99999999\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    assert b" 413 " in answer.partition(b"\r\n")[0]


def test_a_client_that_sends_a_large_body_to_its_end_reads_why_it_was_refused(run: Callable[..., Running]) -> None:
    """Many clients look for an answer only when they have sent everything; a closed connection tells them nothing."""
    running = run(max_body_bytes=1_000_000)
    for content in (b"x" * 5_000_000, iter([b"x" * 100_000] * 50)):
        answer = httpx2.post(f"{running.url}/grade", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_sixty_four_clients_on_connections_of_their_own_are_all_answered(run: Callable[..., Running]) -> None:
    grader = MadeUpGrader()
    running = run(grader)

    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=0)
    with httpx2.Client(base_url=running.url, limits=limits, timeout=60) as client, ThreadPoolExecutor(64) as pool:

        def ask(number: int) -> tuple[int, str]:
            answer = client.post("/grade", json={**ROW, "id": str(number)})
            return answer.status_code, answer.json()["id"]

        assert list(pool.map(ask, range(64))) == [(200, str(number)) for number in range(64)]
    assert sum(grader.rounds) == 64


def test_what_is_under_way_is_answered_when_it_is_stopped_and_nobody_gets_in(run: Callable[..., Running]) -> None:
    grader = MadeUpGrader(batch=1)
    running = run(grader)
    grader.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(httpx2.post, f"{running.url}/grade", json=ROW, timeout=60)
        assert grader.entered.acquire(timeout=60)
        second = pool.submit(httpx2.post, f"{running.url}/grade", json=ROW, timeout=60)
        while running.service.worker.waiting != 1:
            running.service.worker.ended(0.005)
        running.service.stop()
        while True:
            try:
                running.connect().close()
            except ConnectionResetError:
                continue  # it came in while the socket was closed
            except ConnectionRefusedError:
                break
        assert not first.done()
        grader.gate.set()
        assert [item.result().status_code for item in (first, second)] == [200, 200]
    assert running.ended()


def test_a_round_that_never_ends_does_not_keep_it_from_stopping(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in that round and who waits behind it are both told that there is no answer."""
    monkeypatch.setattr(server, "_LAST_SECONDS", 0.1)
    grader = MadeUpGrader()
    running = run(grader, stop_seconds=1.0)
    grader.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(httpx2.post, f"{running.url}/grade", json=ROW, timeout=60)]
        assert grader.entered.acquire(timeout=60)
        asked.append(pool.submit(httpx2.post, f"{running.url}/grade", json=ROW, timeout=60))
        while running.service.worker.waiting != 1:
            running.service.worker.ended(0.005)
        running.service.stop()
        assert running.ended(30)
        answers = [item.result(30) for item in asked]
        assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "stopping")] * 2


# --- the process


def started(root: Path, *words: str) -> tuple[Command, str]:
    """Start ``opeddev-tui serve`` and return it with its address, once its model is loaded."""
    command = Command(["serve", "-w", str(root), "--port", "0", *words], root.parent / "served.txt")
    assert wait_until(lambda: "Ready:" in command.text(), command)
    found = re.search(r"Listening on (http://\S+)", command.text())
    assert found is not None
    return command, found[1]


def test_a_real_process_answers_what_is_under_way_and_ends_by_its_signal(grader_root: Path, tmp_path: Path) -> None:
    """A stream is read to its end after SIGTERM; the exit code is the signal's; no submission is in any file."""
    root = copy_workspace(grader_root, tmp_path / "workspace")
    command, url = started(root)
    graded = httpx2.post(f"{url}/grade", json={"submission": CANARY * 3}, timeout=60)
    assert graded.status_code == 200
    body = {"messages": [{"role": "user", "content": CANARY}], "max_tokens": 200, "stream": True, "temperature": 3.0}
    with httpx2.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert '"role":"assistant"' in next(lines)
        os.kill(command.pid or 0, signal.SIGTERM)
        assert list(lines)[-2] == "data: [DONE]"
    assert command.code() == 143
    assert "Stopped by SIGTERM: 1 submission" in command.text()
    log = workspace_of(root).log.read_text()
    assert "POST /grade 200" in log
    assert CANARY not in log + command.text()


def test_a_checkpoint_that_cannot_be_loaded_ends_it_with_one_sentence(grader_root: Path, tmp_path: Path) -> None:
    root = copy_workspace(grader_root, tmp_path / "workspace")
    (weights,) = workspace_of(root).store.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    command = Command(["serve", "-w", str(root), "--port", "0"], tmp_path / "out.txt")
    assert command.code() == 4
    assert "Traceback" not in command.text()
    assert "checkpoint" in command.text()


def test_wrong_words_on_the_command_line_are_one_sentence(
    grader_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(address.VARIABLE, raising=False)
    taken = address.listening("127.0.0.1", 0, None)
    port = str(taken.getsockname()[1])
    cases = [
        (["--port", port], 2, "address already in use"),
        (["--port", "http"], 2, "serve.port = 'http' is not allowed"),
        (["--port", "70000"], 2, "at most 65535"),
        (["--host", "0.0.0.0"], 2, "it has no token. Set OPEDDEV_SERVE_TOKEN"),
        (["--host", "::"], 2, "it has no token."),
        (["--host", "nowhere.invalid"], 2, "nowhere.invalid is no address"),
        (["--host", "192.0.2.1"], 2, "it has no token."),
        (["--from", "nix"], 4, "no checkpoint is called nix"),
    ]
    for words, code, said in cases:
        assert main(["serve", "-w", str(grader_root), *words]) == code, words
        err = capsys.readouterr().err
        assert said in " ".join(err.split())
        assert len(err.strip().splitlines()) == 1
    taken.close()


# --- address and token


def test_the_token_is_read_from_the_environment_or_a_private_file() -> None:
    path = address.token_file()
    assert address.read_token({}) is None
    path.parent.mkdir(parents=True)
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(SettingsProblem, match="others may read or own it") as raised:
        address.read_token({})
    assert TOKEN not in str(raised.value)
    path.chmod(0o600)
    assert address.read_token({}) == TOKEN
    assert address.read_token({address.VARIABLE: "another-token-0123"}) == "another-token-0123"


@pytest.mark.parametrize(
    "token", ["short", "with a blank in it 123", "t\u00f6ken-0123456789abc", "two\nlines-0123456789"]
)
def test_a_token_that_is_no_secret_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsProblem) as raised:
        address.read_token({address.VARIABLE: token})
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("name", False),
    ],
)
def test_only_addresses_of_this_machine_need_no_token(host: str, loopback: bool) -> None:
    assert address.is_loopback(host) == loopback


def test_with_a_token_it_may_listen_elsewhere() -> None:
    with address.listening("0.0.0.0", 0, TOKEN) as listener:
        assert listener.getsockname()[1] > 0
