"""``serve`` under load: seconds per request at 1, 8 and 64 clients, texts at 8, bad bodies, slow clients, SIGTERM.

WORKSPACE is one with a trained grader, ROWS a JSON Lines file of graded rows. The service runs in a process of its own
on a free port; clients are threads with a connection each. Where ``hey`` is installed, it measures /grade as well.

    python benchmarks/serve_load.py ~/graders/webdev ~/data/webdev_grading/validation.jsonl
"""

import argparse
import collections
import itertools
import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil

_SLOW_CLIENTS = 64
Ask = tuple[str, bytes]


class Service:
    """``opeddev-tui serve`` in a process of its own."""

    def __init__(self, root: Path, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", "opeddev_tui", "serve", "-w", str(root), "--port", "0", *words]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line.startswith("Ready"):
                break
        self.url = text.split("Listening on ", 1)[1].split(" ", 1)[0]
        self.port = int(self.url.rsplit(":", 1)[1])
        print(f"ready after {time.perf_counter() - began:.0f} s")

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)


def load(url: str, clients: int, asks: Sequence[Ask]) -> tuple[list[float], collections.Counter[str]]:
    """Send ``asks`` from so many clients, each with one connection; return seconds of each answer, and outcomes."""
    waiting: queue.SimpleQueue[Ask] = queue.SimpleQueue()
    for ask in asks:
        waiting.put(ask)
    times: list[float] = []
    outcomes: collections.Counter[str] = collections.Counter()

    def work(client: httpx2.Client) -> None:
        while True:
            try:
                path, body = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.perf_counter()
            try:
                answer = client.post(path, content=body)
                outcomes[str(answer.status_code)] += 1
            except httpx2.HTTPError as error:
                outcomes[type(error).__name__] += 1
            times.append(time.perf_counter() - began)

    headers = {"content-type": "application/json"}
    limits = httpx2.Limits(max_connections=clients)
    with httpx2.Client(base_url=url, headers=headers, limits=limits, timeout=600) as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return times, outcomes


def measured(name: str, url: str, clients: int, asks: Sequence[Ask]) -> None:
    """Print a line of the table."""
    began = time.perf_counter()
    times, outcomes = load(url, clients, asks)
    took = time.perf_counter() - began
    times.sort()
    middle, late = times[len(times) // 2], times[min(len(times) - 1, len(times) * 95 // 100)]
    bad = sum(count for outcome, count in outcomes.items() if outcome != "200")
    rate = len(times) / took
    print(f"| {name} | {clients} | {len(times)} | {middle:.2f} s | {late:.2f} s | {rate:.2f} | {bad} |", flush=True)
    if bad:
        print(f"  outcomes: {dict(outcomes)}")


def bad_bodies(rows: Sequence[dict[str, Any]]) -> Iterator[Ask]:
    """Yield requests that must be refused without touching the model, without end."""
    whole = json.dumps(rows[0]).encode()
    yield from itertools.cycle(
        [
            ("/grade", b""),
            ("/grade", whole[: len(whole) // 2]),
            ("/grade", b"[" * 10_000),
            ("/grade", b'{"submissions": [1]}'),
            ("/grade", b'{"submission": "' + b"x" * 5_000_000 + b'"}'),
            ("/v1/chat/completions", b'{"messages": 3}'),
            ("/nowhere", b"{}"),
        ]
    )


def slow_clients(service: Service, count: int) -> list[socket.socket]:
    """Open connections that begin a request and never finish it."""
    opened = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", service.port), timeout=60)
        client.sendall(b"POST /grade HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        client.sendall(b"content-length: 5000\r\n\r\n{" if len(opened) % 2 else b"x-slow: ")
        opened.append(client)
    return opened


def stopped_in_flight(service: Service, asks: Sequence[Ask], clients: int) -> None:
    """Send SIGTERM while ``clients`` wait, and print what became of their requests."""
    found: list[tuple[list[float], collections.Counter[str]]] = []
    thread = threading.Thread(target=lambda: found.append(load(service.url, clients, asks[:clients])))
    thread.start()
    while httpx2.get(f"{service.url}/health", timeout=60).json()["waiting"] < clients // 2:
        time.sleep(0.02)
    began = time.perf_counter()
    service.process.send_signal(signal.SIGTERM)
    code = service.process.wait(120)
    took = time.perf_counter() - began
    thread.join()
    print(f"SIGTERM with {clients} requests under way: {dict(found[0][1])}, exit code {code} after {took:.1f} s")


def with_hey(service: Service, row: dict[str, Any], requests: int) -> None:
    """Measure with hey, one row again and again."""
    if shutil.which("hey") is None:
        print("hey is not installed")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump(row, body)
        body.flush()
        for clients in (1, 8, 64):
            words = ["hey", "-n", str(max(requests, clients)), "-c", str(clients), "-t", "600", "-m", "POST"]
            words += ["-T", "application/json", "-D", body.name, f"{service.url}/grade"]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            kept = [line.strip() for line in done.stdout.splitlines() if _tells(line)]
            print(f"hey, {clients} clients: {'; '.join(' '.join(line.split()) for line in kept)}", flush=True)


def _tells(line: str) -> bool:
    return any(word in line for word in ("50% in", "95% in", "Requests/sec", "responses", "Error"))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--requests", type=int, default=64, help="requests per line of the table")
    parser.add_argument("--tokens", type=int, default=32, help="tokens per text")
    # what it does not know is for opeddev-tui serve: --from best, --set serve.queue=64
    options, words = parser.parse_known_args()
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()]
    service = Service(options.workspace, words)
    grades: Callable[[int], list[Ask]] = lambda count: [  # noqa: E731 - short, and named for its type
        ("/grade", json.dumps(row).encode()) for row, _ in zip(itertools.cycle(rows), range(count), strict=False)
    ]
    chats: list[Ask] = [
        (
            "/v1/chat/completions",
            json.dumps(
                {"messages": [{"role": "user", "content": row["submission"]}], "max_tokens": options.tokens}
            ).encode(),
        )
        for row in rows[: options.requests // 2]
    ]
    load(service.url, 1, grades(2))
    print(f"resident after loading {service.memory:.0f} MiB")
    print("| request | clients | requests | p50 | p95 | per second | errors |")
    print(f"|{' --- |' * 7}")
    for clients in (1, 8, 64):
        measured("/grade", service.url, clients, grades(max(options.requests, clients)))
    measured(f"text of {options.tokens} tokens", service.url, 8, chats)
    held = slow_clients(service, _SLOW_CLIENTS)
    measured(f"/grade beside {_SLOW_CLIENTS} stuck clients", service.url, 8, grades(options.requests))
    began = time.perf_counter()
    _, outcomes = load(service.url, 8, list(itertools.islice(bad_bodies(rows), 700)))
    took = time.perf_counter() - began
    print(f"700 bad bodies from 8 clients in {took:.1f} s: {dict(outcomes)}")
    with_hey(service, rows[0], options.requests)
    print(f"resident at the end {service.memory:.0f} MiB")
    for client in held:
        client.close()
    stopped_in_flight(service, grades(64), 64)


if __name__ == "__main__":
    main()
