"""What clients of OpenAI's interface meet: the description holds, and nothing that would matter is passed over."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from served import MadeUpGrader, Served

from opeddev_tui.config.settings import Generation
from opeddev_tui.serving.http.bodies import chat_request, text_job
from opeddev_tui.serving.http.description import openapi
from opeddev_tui.serving.http.jobs import Refused

CHAT, JSON = "/v1/chat/completions", {"content-type": "application/json"}
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
ROW = b'{"submission": "<b>x</b>"}'


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def make(grader: MadeUpGrader | None = None, **settings: Any) -> Served:
        made.append(Served(grader or MadeUpGrader(), **settings).start())
        return made[-1]

    yield make
    for served in made:
        served.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/grade", ROW, JSON, 200),
        ("POST", "/grade", b'{"submissions": [{"submission": "x"}]}', JSON, 200),
        ("POST", "/grade", b"\xef\xbb\xbf" + ROW, JSON, 200),
        ("POST", "/grade", b"{", JSON, 400),
        ("POST", "/grade", ROW, {}, 415),
        ("POST", "/grade", ROW, JSON | {"content-encoding": "gzip"}, 415),
        ("POST", "/grade", ROW, JSON | {"origin": "http://elsewhere"}, 403),
        ("POST", "/grade", ROW, JSON | {"host": "elsewhere"}, 421),
        ("POST", "/grade", b"x" * 2000, JSON, 413),
        ("GET", "/grade", b"", {}, 405),
        ("POST", CHAT, b"{}", JSON, 400),
        ("POST", CHAT, json.dumps({**HELLO, "model": "other"}).encode(), JSON, 404),
        ("GET", "/v1/models", b"", {}, 200),
        ("GET", "/v1/models/run/checkpoint-1", b"", {}, 200),
        ("GET", "/v1/models/other", b"", {}, 404),
        ("GET", "/health", b"", {}, 200),
        ("POST", "/health", b"x", {}, 405),
        ("GET", "/metrics", b"", {}, 200),
        ("DELETE", "/metrics", b"", {}, 405),
    ],
)
async def test_every_answer_is_one_that_the_description_names(
    serve: Callable[..., Served], method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with serve(max_body_bytes=1000).client() as client:
        answer = await client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    paths = openapi()["paths"]
    (described,) = [item for name, item in paths.items() if re.fullmatch(re.sub(r"{\w+}", ".+", name), path)]
    (operation,) = described.values()
    content = operation["responses"][str(status)]["content"]
    assert answer.headers["content-type"].partition(";")[0] in content
    if "application/json" not in content:
        return
    schema, found = content["application/json"]["schema"], answer.json()
    if "oneOf" in schema:
        assert [_fits(found, kind) for kind in schema["oneOf"]].count(True) == 1
    else:
        assert _fits(found, schema)


def _fits(found: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Return whether ``found`` has what ``schema`` requires, and no field that it does not name."""
    if "$ref" in schema:
        schema = openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("required", ())) <= set(found) <= set(schema["properties"])


async def test_a_path_that_is_not_there_is_no_matter_of_its_body(serve: Callable[..., Served]) -> None:
    async with serve().client() as client:
        answer = await client.post("/v1/embeddings", content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_stream_that_takes_too_long_ends_with_the_reason(serve: Callable[..., Served]) -> None:
    grader = MadeUpGrader()
    grader.gate.clear()
    async with serve(grader, answer_seconds=0.2).client(**JSON) as client:
        first = asyncio.ensure_future(client.post("/grade", content=ROW))
        while not grader.rounds:
            await asyncio.sleep(0)
        answer = await client.post(CHAT, json={**HELLO, "stream": True})
        assert (await first).status_code == 504
    assert answer.status_code == 200
    last = answer.text.strip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["code"] == "too_long"


@pytest.mark.parametrize(
    "change",
    [
        {"top_logprobs": 2},
        {"tool_choice": "required"},
        {"modalities": ["text", "audio"]},
        {"top_k": 3},
        {"repetition_penalty": 1.2},
        {"guided_json": {}},
        {"continue_final_message": True},
        {"seed": 2**64},
        {"seed": -(2**64)},
        {"top_p": 1.5},
    ],
)
def test_what_would_change_an_answer_and_is_not_done_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        chat_request(json.dumps({**HELLO, **change}).encode())
    assert refused.value.place == f"$.{next(iter(change))}"


def test_what_asks_for_nothing_is_taken() -> None:
    nothing = dict.fromkeys(
        ("stop", "stream", "stream_options", "seed", "max_tokens", "tools", "top_k", "response_format", "logprobs")
    )
    others = {"tool_choice": "auto", "modalities": ["text"], "user": "me", "store": False, "metadata": {}, "top_p": 0}
    job = text_job(chat_request(json.dumps({**HELLO, **nothing, **others}).encode()), Generation(do_sample=True))
    assert (job.sampling.do_sample, job.stops, job.seed) == (False, (), None)
    assert chat_request(json.dumps({**HELLO, "stream_options": {"include_usage": None}}).encode()).stream_options
