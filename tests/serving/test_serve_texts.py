"""The service around a trained grader: its grades are the grader's, and texts come as OpenAI's clients expect them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import holdout_file, settings_of, workspace_of
from served import Served

from opeddev_tui.config.settings import Generation
from opeddev_tui.data.rows import Message
from opeddev_tui.serving.answers import as_json
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.http.bodies import chat_request, text_job
from opeddev_tui.serving.http.jobs import TextJob
from opeddev_tui.serving.http.texts import shown_so_far

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Grade this <b>menu</b> page"}]


@pytest.fixture(scope="module")
def grader(grader_root: Path) -> Grader:
    return Grader.open(workspace_of(grader_root), settings_of(grader_root), texts=True)


@pytest.fixture
def served(grader: Grader) -> Iterator[Served]:
    service = Served(grader).start()
    yield service
    service.close()


def rows_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in holdout_file(root).read_text().splitlines()]


def pieces(answer: str) -> list[dict[str, Any]]:
    """Return what a stream of server-sent events holds; its last event says that it is whole."""
    events = [event.removeprefix("data: ") for event in answer.split("\n\n") if event]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


async def test_many_clients_at_once_get_the_grades_that_the_grader_gives(
    served: Served, grader: Grader, grader_root: Path
) -> None:
    rows = rows_of(grader_root)
    asked = [grader.ask(row) for row in rows]
    expected = [as_json(item, of.content) for item, of in zip(grader.grade(asked), asked, strict=True)]
    async with served.client() as client:
        answers = await asyncio.gather(*(client.post("/grade", json=row) for row in rows))
        whole = (await client.post("/grade", json={"submissions": rows})).json()["graded"]
    for mine in ([answer.json() for answer in answers], whole):
        for got, right in zip(mine, expected, strict=True):
            assert got["probabilities"] == pytest.approx(right["probabilities"], abs=1e-4)
            assert {name: got[name] for name in ("id", "grade", "set", "checkpoint", "content", "reference")} == {
                name: right[name] for name in ("id", "grade", "set", "checkpoint", "content", "reference")
            }


async def test_a_text_is_the_same_at_once_and_as_a_stream(served: Served) -> None:
    async with served.client() as client:
        (model,) = (await client.get("/v1/models")).json()["data"]
        body = {"model": model["id"], "messages": HELLO, "max_tokens": 12}
        whole = (await client.post(CHAT, json=body)).json()
        stream = await client.post(CHAT, json={**body, "stream": True, "stream_options": {"include_usage": True}})
    assert (whole["object"], whole["model"]) == ("chat.completion", model["id"])
    (choice,) = whole["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == ("length" if whole["usage"]["completion_tokens"] == 12 else "stop")
    assert stream.headers["content-type"].startswith("text/event-stream")
    found = pieces(stream.text)
    assert {(piece["id"], piece["object"]) for piece in found} == {(found[0]["id"], "chat.completion.chunk")}
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    written = "".join(piece["choices"][0]["delta"].get("content", "") for piece in found if piece["choices"])
    assert written == choice["message"]["content"] != ""
    assert [piece["choices"][0]["finish_reason"] for piece in found if piece["choices"]][-1] == choice["finish_reason"]
    assert (found[-1]["choices"], found[-1]["usage"]) == ([], whole["usage"])


async def test_texts_that_are_written_together_are_those_of_each_alone(served: Served) -> None:
    bodies = [
        {"messages": [{"role": "user", "content": f"page {'menu ' * at}"}], "max_tokens": 6 + at} for at in range(4)
    ]
    async with served.client() as client:
        alone = [(await client.post(CHAT, json=body)).json() for body in bodies]
        together = await asyncio.gather(*(client.post(CHAT, json=body) for body in bodies))
    assert [answer.json()["choices"] for answer in together] == [answer["choices"] for answer in alone]
    assert [answer.json()["usage"] for answer in together] == [answer["usage"] for answer in alone]


async def test_grades_do_not_wait_for_a_long_text_and_change_nothing_of_it(
    served: Served, grader: Grader, grader_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that comes while a text is written is graded before the text ends."""
    monkeypatch.setattr("opeddev_tui.models.generation.TELL_EVERY", 0.0)
    row = rows_of(grader_root)[0]
    order: list[str] = []
    async with served.client() as client:
        body = {"messages": HELLO, "max_tokens": 60}
        quiet = (await client.post(CHAT, json=body)).json()["choices"]
        right = (await client.post("/grade", json=row)).json()
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        seldom = threading.Event()

        def told(_: str) -> None:
            loop.call_soon_threadsafe(begun.set)
            # the text goes on when the row waits: it must be graded in between
            while served.worker.waiting == 0 and not graded.done() and len(order) == 0:
                seldom.wait(0.001)

        async def grade() -> dict[str, Any]:
            await begun.wait()
            found = (await client.post("/grade", json=row)).json()
            order.append("grade")
            assert isinstance(found, dict)
            return found

        graded = asyncio.create_task(grade())
        job = TextJob([Message("user", HELLO[0]["content"])], grader.settings.generation, 60, told=told)
        served.worker.put(job)
        text = await asyncio.wrap_future(job.done)
        order.append("text")
        assert (await graded)["probabilities"] == pytest.approx(right["probabilities"], abs=1e-4)
    assert order == ["grade", "text"]
    assert text.text == quiet[0]["message"]["content"]


async def test_stop_ends_a_text_before_it(served: Served) -> None:
    async with served.client() as client:
        body: dict[str, Any] = {"messages": HELLO, "max_tokens": 20}
        text = (await client.post(CHAT, json=body)).json()["choices"][0]["message"]["content"]
        stop = text[len(text) // 2 : len(text) // 2 + 2]
        body["stop"] = [stop, "never written"]
        whole = (await client.post(CHAT, json=body)).json()
        stream = pieces((await client.post(CHAT, json={**body, "stream": True})).text)
    assert whole["choices"][0]["message"]["content"] == text[: text.index(stop)]
    assert whole["choices"][0]["finish_reason"] == "stop"
    written = "".join(piece["choices"][0]["delta"].get("content", "") for piece in stream)
    assert written == text[: text.index(stop)]


async def test_a_seed_repeats_a_draw_and_without_one_it_is_another(served: Served) -> None:
    async with served.client() as client:

        async def drawn(**more: Any) -> str:
            body = {"messages": HELLO, "max_tokens": 16, "temperature": 2.0, "top_p": 1.0, **more}
            answer = (await client.post(CHAT, json=body)).json()
            return str(answer["choices"][0]["message"]["content"])

        assert await drawn(seed=7) == await drawn(seed=7)
        assert len({await drawn() for _ in range(4)}) > 1
        assert await drawn(temperature=0) == await drawn(temperature=0)


@pytest.mark.parametrize(
    ("change", "status", "code", "place"),
    [
        ({"messages": []}, 400, "invalid_body", "$.messages"),
        ({"messages": "hi"}, 400, "invalid_body", "$.messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_body", "$.messages[0].role"),
        ({"messages": [{"role": "user"}]}, 400, "invalid_body", "$.messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "invalid_body", None),
        ({"max_tokens": 0}, 400, "invalid_body", "$.max_tokens"),
        ({"max_tokens": "9"}, 400, "invalid_body", "$.max_tokens"),
        ({"temperature": -1}, 400, "invalid_body", "$.temperature"),
        ({"stop": ""}, 400, "invalid_body", "$.stop"),
        ({"n": 2}, 400, "not_supported", "$.n"),
        ({"tools": [{"type": "function"}]}, 400, "not_supported", "$.tools"),
        ({"response_format": {"type": "json_object"}}, 400, "not_supported", "$.response_format"),
        ({"model": "gpt-4o"}, 404, "model_not_found", "$.model"),
    ],
)
async def test_what_is_wrong_or_not_done_is_named(
    served: Served, change: dict[str, Any], status: int, code: str, place: str | None
) -> None:
    async with served.client() as client:
        for stream in (False, True):
            answer = await client.post(CHAT, json={"messages": HELLO, "stream": stream, **change})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (status, code)
            assert place is None or error["param"] == place


async def test_a_service_without_texts_says_so(grader: Grader) -> None:
    with closing(Served(grader, texts=False).start()) as service:
        async with service.client() as client:
            for path, body in ((CHAT, {"messages": HELLO}), ("/grade?feedback=1", {"submission": "x"})):
                answer = await client.post(path, json=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_texts")


def test_what_a_request_does_not_say_is_as_the_settings_have_it() -> None:
    plain = text_job(chat_request(b'{"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}]}]}'),
                     Generation(max_new_tokens=5))  # fmt: skip
    assert (plain.most, plain.sampling.do_sample, plain.messages) == (5, False, [Message("system", "a")])
    asked = chat_request(b'{"messages": [{"role": "user", "content": "a"}], "temperature": 0.5, "n": 1, "user": "me"}')
    job = text_job(asked, Generation())
    assert (job.sampling.do_sample, job.sampling.temperature) == (True, 0.5)


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("caf\ufffd", (), "caf"),
        ("line\nEN", ("END",), "line\n"),
        ("line END more", ("END",), "line "),
        ("aab", ("abc", "bx"), "a"),
        ("plain", ("END",), "plain"),
    ],
)
def test_no_half_character_and_no_beginning_of_a_stop_is_shown(text: str, stops: tuple[str, ...], shown: str) -> None:
    assert shown_so_far(text, stops) == shown
