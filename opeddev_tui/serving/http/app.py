"""The routes of the service: /grade, /health, /metrics, /v1/models, /v1/chat/completions, /openapi.json, /docs."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from opeddev_tui.config.settings import Serve
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.http import bodies, description
from opeddev_tui.serving.http.bodies import ChatAnswer, ChatChoice, ChatRequest, Reply, Usage
from opeddev_tui.serving.http.figures import Figures
from opeddev_tui.serving.http.gate import Gate
from opeddev_tui.serving.http.jobs import AnyJob, GradeJob, Refused, Text, TextJob
from opeddev_tui.serving.http.outcomes import result_of, text_of
from opeddev_tui.serving.http.worker import Worker


def application(worker: Worker, serve: Serve, figures: Figures, *, token: str | None, loopback: bool) -> Gate:
    """Return the ASGI application; it answers as soon as it is there, and grades once the model is loaded."""
    routes = Routes(worker, serve, figures).all()
    handlers: dict[Any, Any] = {Refused: _refused, HTTPException: _http_error, ConnectionError: _gone, Exception: _bug}
    app = Starlette(routes=routes, exception_handlers=handlers)
    methods = {route.path: route.methods or () for route in routes}
    return Gate(app, serve, figures, methods, token=token, loopback=loopback, stopping=lambda: worker.closing)


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


async def _refused(_request: Request, refused: Refused) -> Response:
    return Response(bodies.error_of(refused), refused.status, bodies.headers_of(refused))


async def _http_error(_request: Request, error: HTTPException) -> Response:
    words = {404: "There is no such path; see /docs.", 405: "This path takes another method; see /docs."}
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    refused = Refused(error.status_code, code, words.get(error.status_code, str(error.detail)))
    return Response(
        bodies.error_of(refused), error.status_code, {**bodies.headers_of(refused), **dict(error.headers or {})}
    )


async def _gone(_request: Request, _error: ConnectionError) -> Response:
    # nobody reads it; the figures show that the client had gone
    return Response(status_code=499)


async def _bug(_request: Request, _error: Exception) -> Response:
    refused = Refused(500, "bug", "The service failed at this request; the reason is in its log.")
    return Response(bodies.error_of(refused), 500, bodies.headers_of(refused))


class Routes:
    """The handlers. They wait for the worker's thread and never use the model themselves."""

    def __init__(self, worker: Worker, serve: Serve, figures: Figures) -> None:
        self._worker, self._serve, self._figures = worker, serve, figures
        self._begun = int(time.time())

    def all(self) -> list[Route]:
        """Return every route."""
        return [
            Route("/grade", self.grade, methods=["POST"]),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/openapi.json", self.openapi),
            Route("/docs", self.docs),
        ]

    async def health(self, request: Request) -> Response:
        """Say whether the model is there; more only to those with the token."""
        grader = self._worker.grader
        status = "stopping" if self._worker.closing else "loading" if grader is None else "ready"
        known: dict[str, Any] = {"status": status}
        if grader is not None and request.state.trusted:
            known |= {
                "checkpoint": grader.choice.checkpoint,
                "model": grader.model_name,
                "way": grader.choice.way,
                "grades": list(grader.models.scale.labels),
                "texts": self._serve.texts,
                "waiting": self._worker.waiting,
                "notes": grader.notes,
            }
        return _json(known, 200 if status == "ready" else 503)

    async def metrics(self, _request: Request) -> Response:
        """Give the figures as Prometheus reads them."""
        text = self._figures.text(self._worker.waiting, ready=self._worker.grader is not None)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _request: Request) -> Response:
        """Give the description of this service for programs."""
        return _json(description.openapi())

    async def docs(self, _request: Request) -> Response:
        """Give the same as a page, which loads nothing from elsewhere."""
        return HTMLResponse(description.page())

    # --- grades

    async def grade(self, request: Request) -> Response:
        """Grade one row or many."""
        rows, single = bodies.rows_of(await request.body(), self._serve.max_submissions)
        feedback = request.query_params.get("feedback", "false").lower()
        if feedback not in ("true", "false", "1", "0"):
            raise Refused(400, "invalid_query", "feedback is true or false.", place="feedback")
        job = GradeJob(rows, feedback=feedback in ("true", "1"))
        if job.feedback:
            self._require_texts()
        graded = await self._answered(job, request)
        return _json(graded[0] if single else {"graded": graded})

    def _require_texts(self) -> None:
        if not self._serve.texts:
            raise Refused(400, "no_texts", "This service writes no texts (serve.texts).")

    async def _answered(self, job: AnyJob, request: Request) -> Any:
        """Return what the worker makes of ``job``; nothing is done for a client that has gone."""
        self._worker.put(job)
        done: Future[Any] = job.done
        result = asyncio.wrap_future(done)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({result, gone}, timeout=self._serve.answer_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                if gone.done():
                    raise ConnectionError
                raise self._too_long()
            return result_of(result)
        finally:
            gone.cancel()
            result.cancel()
            if isinstance(job, TextJob):
                job.left.set()

    def _too_long(self) -> Refused:
        return Refused(504, "too_long", f"No answer within {self._serve.answer_seconds:g} s.", retry_after=10)

    # --- texts

    async def models(self, _request: Request) -> Response:
        """List the one model."""
        return _json(bodies.ModelList([self._entry()]))

    async def model(self, request: Request) -> Response:
        """Give the one model by its name."""
        entry = self._entry()
        if request.path_params["name"] != entry.id:
            raise _other_model(entry.id)
        return _json(entry)

    def _entry(self) -> bodies.ModelEntry:
        return bodies.ModelEntry(_name(self._ready()), self._begun)

    def _ready(self) -> Grader:
        if self._worker.grader is None:
            raise Refused(503, "loading", "The model is being loaded.", retry_after=5)
        return self._worker.grader

    async def chat(self, request: Request) -> Response:
        """Go on with a conversation, at once or as a stream."""
        asked = bodies.chat_request(await request.body())
        self._require_texts()
        grader = self._ready()
        name = _name(grader)
        if asked.model not in (None, "", name):
            raise _other_model(name, "$.model")
        job = bodies.text_job(asked, grader.settings.generation)
        identity = f"chatcmpl-{uuid.uuid4().hex}"
        if asked.stream:
            return await self._stream(asked, job, identity, name)
        text: Text = await self._answered(job, request)
        choice = ChatChoice(0, _reason(text), message=Reply("assistant", text.text))
        return _json(
            ChatAnswer(
                identity, "chat.completion", int(time.time()), name, [choice], _usage(text), truncated=text.truncated
            )
        )

    async def _stream(self, asked: ChatRequest, job: TextJob, identity: str, name: str) -> Response:
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[str | None] = asyncio.Queue()
        job.told = lambda text: _tell(loop, told, text)
        job.done.add_done_callback(lambda _: _tell(loop, told, None))
        # refused before the answer begins, with the status that says so
        self._worker.put(job)
        usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
        begun = int(time.time())

        def piece(*choices: ChatChoice, of: Text | None = None) -> bytes:
            answer = ChatAnswer(identity, "chat.completion.chunk", begun, name, list(choices))
            if usage:
                answer.usage = _usage(of) if of is not None else None
            return b"data: " + msgspec.json.encode(answer) + b"\n\n"

        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield piece(ChatChoice(0, None, delta=Reply("assistant", "")))
                async for part in self._growth(job, told):
                    yield piece(ChatChoice(0, None, delta=Reply(content=part)))
                text = text_of(job)
                yield piece(ChatChoice(0, _reason(text), delta=Reply()))
                if usage:
                    yield piece(of=text)
                yield b"data: [DONE]\n\n"
            except Refused as refused:
                yield b"data: " + bodies.error_of(refused) + b"\n\n"
            finally:
                job.left.set()
                job.done.cancel()

        return StreamingResponse(pieces(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _growth(self, job: TextJob, told: "asyncio.Queue[str | None]") -> AsyncIterator[str]:
        """Yield what is new of a text until it is whole; raises ``Refused`` where that takes too long."""
        shown: str = ""
        text: str | None = ""
        end = asyncio.get_running_loop().time() + self._serve.answer_seconds
        while text is not None:
            if text.startswith(shown) and text != shown:
                yield text[len(shown) :]
                shown = text
            # not around a yield: whoever reads the stream is another one's time
            try:
                async with asyncio.timeout_at(end):
                    text = await told.get()
            except TimeoutError:
                raise self._too_long() from None
        if not job.done.cancelled() and job.done.exception() is None:
            text = job.done.result().text
            if text.startswith(shown) and text != shown:
                yield text[len(shown) :]


def _tell(loop: asyncio.AbstractEventLoop, told: "asyncio.Queue[str | None]", text: str | None) -> None:
    """Hand ``text`` from the model's thread to the event loop, unless that has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(told.put_nowait, text)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _other_model(name: str, place: str = "") -> Refused:
    return Refused(404, "model_not_found", f"The only model here is {name}.", place=place)


def _name(grader: Grader) -> str:
    return grader.choice.checkpoint


def _reason(text: Text) -> str:
    return "stop" if text.ended else "length"


def _usage(text: Text) -> Usage:
    return Usage(text.prompt_tokens, text.tokens, text.prompt_tokens + text.tokens)
