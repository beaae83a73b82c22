"""The service in this process: what is answered, what is refused and with which words, with a made-up grader."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import pytest
from served import TOKEN, MadeUpGrader, Served

from opeddev_tui.errors import ModelProblem
from opeddev_tui.serving.answers import COLUMNS
from opeddev_tui.serving.asked import Asked

ROW = {"submission": "<b>x</b>"}


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Return a maker of started services, which end with the test."""
    made: list[Served] = []

    def make(grader: Any = None, *, started: bool = True, **options: Any) -> Served:
        made.append(Served(grader or MadeUpGrader(), **options))
        return made[-1].start() if started else made[-1]

    yield make
    for served in made:
        if not started_never(served):
            served.close()


def started_never(served: Served) -> bool:
    return not served.loaded.is_set()


def problem(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()["error"]
    assert set(found) == {"message", "type", "code", "param"}
    assert isinstance(found, dict)
    return found


async def test_one_row_gets_one_answer_and_many_get_theirs_in_order(serve: Callable[..., Served]) -> None:
    async with serve().client() as client:
        one = await client.post("/grade", json={**ROW, "id": "a"})
        assert (one.status_code, one.json()["grade"], one.json()["id"]) == (200, 1, "a")
        rows = [{"submission": "x" * length, "id": str(length)} for length in (3, 30, 4)]
        many = await client.post("/grade", json={"submissions": rows})
        assert [(item["id"], item["grade"]) for item in many.json()["graded"]] == [("3", 1), ("30", 2), ("4", 1)]
        told = await client.post("/grade?feedback=true", json=ROW)
        assert told.json()["feedback"] == "because"


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        (b"", 400, "empty_body", None),
        (b"   ", 400, "empty_body", None),
        (b"{", 400, "invalid_json", None),
        (b"\xff\xfe", 400, "invalid_json", None),
        (b'{"submission": "\\ud800"}', 400, "invalid_json", None),
        (b"[" * 100_000, 400, "invalid_json", None),
        (b"NaN", 400, "invalid_json", None),
        (b"[]", 400, "invalid_body", "$"),
        (b'"text"', 400, "invalid_body", "$"),
        (b"null", 400, "invalid_body", "$"),
        (b"{}", 400, "no_submission", "$.submission"),
        (b'{"submission": 3}', 400, "no_submission", "$.submission"),
        (b'{"submission": " "}', 400, "no_submission", "$.submission"),
        (b'{"submissions": {}}', 400, "invalid_body", "$.submissions"),
        (b'{"submissions": []}', 400, "invalid_body", "$.submissions"),
        (b'{"submissions": [{}, 7]}', 400, "invalid_body", "$.submissions[1]"),
        (b'{"submissions": [{},{},{},{},{}]}', 413, "too_many_submissions", "$.submissions"),
        (b'{"submission": "' + b"x" * 2000 + b'"}', 413, "body_too_large", None),
    ],
)
async def test_a_bad_body_is_one_error_with_its_place(
    serve: Callable[..., Served], body: bytes, status: int, code: str, place: str | None
) -> None:
    served = serve(max_submissions=4, max_body_bytes=1000 if b"xxx" in body else 1_000_000)
    async with served.client(**{"content-type": "application/json"}) as client:
        answer = await client.post("/grade", content=body)
        found = problem(answer)
        assert (answer.status_code, found["code"], found["param"]) == (status, code, place)
        assert found["message"].endswith((".", "]"))
        assert (await client.post("/grade", json=ROW)).status_code == 200
    assert served.grader.rounds == [1]


async def test_a_body_without_a_length_is_bounded_too(serve: Callable[..., Served]) -> None:
    async def parts() -> Any:
        for _ in range(10):
            yield b"x" * 500

    async with serve(max_body_bytes=1000).client(**{"content-type": "application/json"}) as client:
        answer = await client.post("/grade", content=parts())
        assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/grade", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/grade/../../etc/passwd", 404, "not_found"),
        ("POST", "/v1/completions", 404, "not_found"),
    ],
)
async def test_other_paths_and_methods_are_refused(
    serve: Callable[..., Served], method: str, path: str, status: int, code: str
) -> None:
    async with serve().client(**{"content-type": "application/json"}) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, problem(answer)["code"]) == (status, code)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
)
async def test_what_a_page_of_another_origin_could_send_is_refused(serve: Callable[..., Served], kind: str) -> None:
    """Forms and plain texts need no permission of the browser; JSON does, and gets none."""
    served = serve()
    async with served.client(**{"content-type": kind}) as client:
        answer = await client.post("/grade", content=b'{"submission": "x"}')
        assert (answer.status_code, problem(answer)["code"]) == (415, "not_json")
    async with served.client(origin="http://evil.example") as client:
        answer = await client.post("/grade", json=ROW)
        assert (answer.status_code, problem(answer)["code"]) == (403, "cross_origin")
        asked = await client.options("/grade")
        assert "access-control-allow-origin" not in asked.headers
    async with served.client(origin="http://127.0.0.1:8000") as client:
        assert (await client.post("/grade", json=ROW)).status_code == 200
    assert served.grader.rounds == [1]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("127.0.0.2", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("grader.example", 200),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1:8000", 421),
    ],
)
async def test_on_loopback_only_names_of_this_machine_are_answered(
    serve: Callable[..., Served], host: str, status: int
) -> None:
    """A page whose name was pointed to this machine comes with its own name."""
    async with serve(hosts=["grader.example"]).client(host) as client:
        assert (await client.get("/health")).status_code == status


async def test_elsewhere_any_name_will_do_but_the_token_must_be_right(serve: Callable[..., Served]) -> None:
    served = serve(token=TOKEN, loopback=False)
    for wrong in ("", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ü"):
        async with served.client("grader.example") as client:
            client.headers.update({"authorization": wrong.encode("latin-1")})  # type: ignore[dict-item]
            for path in ("/metrics", "/v1/models", "/docs", "/openapi.json", "/nix"):
                assert (await client.get(path)).status_code == 401, (wrong, path)
            answer = await client.post("/grade", json=ROW)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert (await client.get("/health")).json() == {"status": "ready"}
    async with served.client("grader.example", authorization=f"bearer {TOKEN}") as client:
        assert (await client.post("/grade", json=ROW)).status_code == 200
        assert (await client.get("/health")).json()["checkpoint"] == "run/checkpoint-1"


async def test_while_the_model_loads_health_says_so_and_requests_are_told_to_come_back(
    serve: Callable[..., Served],
) -> None:
    served = serve(started=False)
    async with served.client() as client:
        for _ in range(2):
            health = await client.get("/health")
            assert (health.status_code, health.json()) == (503, {"status": "loading"})
            answer = await client.post("/grade", json=ROW)
            assert (answer.status_code, problem(answer)["code"]) == (503, "loading")
            assert int(answer.headers["retry-after"]) > 0
        served.start()
        assert (await client.get("/health")).status_code == 200
        assert (await client.post("/grade", json=ROW)).status_code == 200


async def entered(grader: MadeUpGrader, count: int = 1) -> None:
    """Wait until the model's thread is in its next rounds."""
    for _ in range(count):
        assert await asyncio.to_thread(grader.entered.acquire, timeout=60)


async def waiting(served: Served, count: int) -> None:
    """Wait until ``count`` submissions are in the queue."""
    while served.worker.waiting != count:
        await asyncio.sleep(0.005)


async def test_what_waits_goes_through_the_model_together(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader(batch=4)
    served = serve(grader)
    grader.gate.clear()
    async with served.client() as client:
        asks = [asyncio.create_task(client.post("/grade", json={**ROW, "id": "first"}))]
        await entered(grader)
        asks += [asyncio.create_task(client.post("/grade", json={**ROW, "id": str(at)})) for at in range(6)]
        await waiting(served, 6)
        grader.gate.set()
        answers = await asyncio.gather(*asks)
    assert [answer.json()["id"] for answer in answers] == ["first", *map(str, range(6))]
    assert grader.rounds == [1, 4, 2]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader()
    served = serve(grader, queue=3)
    grader.gate.clear()
    async with served.client() as client:
        first = asyncio.create_task(client.post("/grade", json=ROW))
        await entered(grader)
        second = asyncio.create_task(client.post("/grade", json={"submissions": [ROW] * 2}))
        await waiting(served, 2)
        refused = await client.post("/grade", json={"submissions": [ROW] * 2})
        assert (refused.status_code, problem(refused)["code"]) == (429, "queue_full")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        third = asyncio.create_task(client.post("/grade", json=ROW))
        await waiting(served, 3)
        grader.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(first, second, third)] == [200] * 3


async def test_nothing_is_graded_for_a_client_that_has_gone(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader(batch=1)
    served = serve(grader)
    grader.gate.clear()
    async with served.client() as client:
        first = asyncio.create_task(client.post("/grade", json=ROW))
        await entered(grader)
        gone = asyncio.create_task(client.post("/grade", json=ROW))
        await waiting(served, 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        grader.gate.set()
        assert (await first).status_code == 200
        assert (await client.post("/grade", json=ROW)).status_code == 200
    assert grader.rounds == [1, 1]


async def test_an_answer_that_takes_too_long_is_given_up(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader()
    served = serve(grader, answer_seconds=0.05)
    grader.gate.clear()
    async with served.client() as client:
        answer = await client.post("/grade", json=ROW)
        assert (answer.status_code, problem(answer)["code"]) == (504, "too_long")
        grader.gate.set()


async def test_a_body_that_never_ends_is_given_up(serve: Callable[..., Served]) -> None:
    never = asyncio.Event()

    async def parts() -> Any:
        yield b'{"submission'
        await never.wait()

    async with serve(client_seconds=0.05).client(**{"content-type": "application/json"}) as client:
        answer = await client.post("/grade", content=parts())
        assert (answer.status_code, problem(answer)["code"]) == (408, "too_slow")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModelProblem("one row at a time does not fit into memory."), "one row at a time does not fit into memory."),
        (ZeroDivisionError("<b>secret code</b>"), "The model failed at this; the reason is in the service's log."),
        (SystemExit(3), "The model failed at this; the reason is in the service's log."),
    ],
)
async def test_a_round_that_fails_is_told_and_the_next_one_is_answered(
    serve: Callable[..., Served], error: BaseException, words: str
) -> None:
    grader = MadeUpGrader()
    served = serve(grader)

    def fail(_: Sequence[Asked]) -> None:
        grader.react = lambda _: None
        raise error

    grader.react = fail
    async with served.client() as client:
        answer = await client.post("/grade", json=ROW)
        assert (answer.status_code, problem(answer)["message"]) == (500, words)
        assert (await client.post("/grade", json=ROW)).status_code == 200
    assert served.figures.total("failures") == 1


async def test_when_it_is_stopped_what_was_taken_is_answered_and_nothing_new_is(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader(batch=1)
    served = serve(grader)
    grader.gate.clear()
    async with served.client() as client:
        taken = [asyncio.create_task(client.post("/grade", json=ROW)) for _ in range(3)]
        await entered(grader)
        await waiting(served, 2)
        served.worker.close()
        late = await client.post("/grade", json=ROW)
        assert (late.status_code, problem(late)["code"]) == (503, "stopping")
        assert (await client.get("/health")).json()["status"] == "stopping"
        grader.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*taken)] == [200] * 3
    assert served.worker.ended(60)


async def test_what_is_not_answered_in_time_when_it_is_stopped_is_told_so(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader(batch=1)
    served = serve(grader)
    grader.gate.clear()
    async with served.client() as client:
        taken = [asyncio.create_task(client.post("/grade", json=ROW)) for _ in range(2)]
        await entered(grader)
        await waiting(served, 1)
        served.worker.abandon()
        grader.gate.set()
        answers = await asyncio.gather(*taken)
    assert [(answer.status_code, problem(answer)["code"]) for answer in answers] == [(503, "stopping")] * 2


async def test_figures_are_prometheus_and_hold_no_text_nor_does_the_log(
    serve: Callable[..., Served], caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary7f3asubmission"
    with caplog.at_level(logging.DEBUG, logger="opeddev_tui"):
        async with serve().client() as client:
            await client.post(f"/grade?{canary}=1", json={"submission": canary, "id": canary})
            await client.post("/grade", content=canary.encode(), headers={"content-type": "application/json"})
            await client.get(f"/{canary}")
            await client.request(f"GET{canary.upper()}", "/health")
            text = (await client.get("/metrics")).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    figures = dict(line.rsplit(" ", 1) for line in lines)
    assert figures["opeddev_graded_total"] == "1"
    assert figures['opeddev_requests_total{path="/grade",status="200"}'] == "1"
    assert figures['opeddev_requests_total{path="/grade",status="400"}'] == "1"
    assert figures['opeddev_requests_total{path="other",status="404"}'] == "1"
    assert figures['opeddev_request_seconds_count{path="/grade"}'] == "2"
    assert figures['opeddev_request_seconds_bucket{path="/grade",le="+Inf"}'] == "2"
    assert len(figures) == len(lines)
    assert "POST /grade 200" in caplog.text
    # what the client of this test logs is not the service's
    logged = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("opeddev_tui"))
    assert canary not in (text + logged).lower()


async def test_its_description_names_every_path_and_loads_nothing_from_elsewhere(serve: Callable[..., Served]) -> None:
    async with serve().client() as client:
        document = (await client.get("/openapi.json")).json()
        page = (await client.get("/docs")).text
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == {
        *("/grade", "/v1/chat/completions", "/v1/models", "/v1/models/{model}", "/health", "/metrics")
    }
    assert all(path in page for path in document["paths"])
    assert "http://" not in page
    assert "https://" not in page
    named = set(document["components"]["schemas"])
    assert {"Row", "Graded", "ChatRequest", "ChatAnswer", "ErrorBody"} <= named
    assert list(document["components"]["schemas"]["Graded"]["properties"]) == [*COLUMNS, "graded_by", "measured"]
    for reference in _references(document):
        assert reference.rpartition("/")[2] in named


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for item in node.values():
            yield from _references(item)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
