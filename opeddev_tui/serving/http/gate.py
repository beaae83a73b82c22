"""What every request passes first: its host, its token, its size, its patience; and how it is counted and logged.

An ASGI application around another one. Only the method, the service's own path, the status and the time are logged.
"""

import asyncio
import hmac
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect

from opeddev_tui.config.settings import Serve
from opeddev_tui.serving.http.bodies import error_of, headers_of
from opeddev_tui.serving.http.figures import Figures
from opeddev_tui.serving.http.jobs import Refused

_LOG = logging.getLogger(__name__)
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

# bytes of bodies that are held at a time, of all requests together, in bodies of the largest size
_MOST_BODIES = 16
# said to those without the token: nothing of the model
OPEN_PATHS = frozenset({"/health"})


class Gate:
    """``app`` behind the checks; ``methods`` are those of each of its paths.

    ``token`` is None for none; ``loopback``: only this machine can connect.
    """

    def __init__(
        self,
        app: _App,
        serve: Serve,
        figures: Figures,
        methods: Mapping[str, Collection[str]],
        *,
        token: str | None,
        loopback: bool,
        stopping: Callable[[], bool],
    ) -> None:
        self._app, self._serve, self._figures, self._methods = app, serve, figures, methods
        self._token, self._loopback, self._stopping = token, loopback, stopping
        self._held = 0

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = scope["path"] if scope["path"] in self._methods else "other"
        answer = _Answer(send, self._serve.client_seconds)
        begun = time.monotonic()
        held = 0
        try:
            self._check(scope, path)
            body = await self._body(scope, receive)
            held = len(body)
            await self._app(scope, _again(body, receive), answer.send)
        except Refused as refused:
            await answer.refuse(refused)
        except (TimeoutError, ConnectionError, ClientDisconnect):
            # the client has gone, or does not take its answer
            answer.status = answer.status or 499
        finally:
            self._held -= held
            seconds = time.monotonic() - begun
            self._figures.answered(path, answer.status or 499, seconds)
            _LOG.info("%s %s %s %.0f ms", _method(scope), path, answer.status or 499, seconds * 1000)

    # --- who asks

    def _check(self, scope: _Message, path: str) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self._loopback and not self._is_known(host):
            # a page whose name was pointed to this machine (DNS rebinding) comes with its own name
            raise Refused(
                421,
                "unknown_host",
                "The Host header does not name this machine. Behind a proxy, list its name in serve.hosts.",
            )
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Refused(403, "cross_origin", "Pages of other origins may not use this service.")
        scope.setdefault("state", {})["trusted"] = self._has_token(headers.get(b"authorization", ""))
        if not scope["state"]["trusted"] and path not in OPEN_PATHS:
            raise Refused(401, "no_token", "Send the service's token: Authorization: Bearer TOKEN.")
        if self._stopping() and path not in OPEN_PATHS:
            raise Refused(503, "stopping", "The service is being stopped.", retry_after=10)
        if _method(scope) == "POST" and "POST" in self._methods.get(path, ()):
            _check_kind(headers)

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in (other.lower() for other in self._serve.hosts):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _has_token(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self._token.encode())
        return same and scheme.lower() == "bearer"

    # --- what is sent

    async def _body(self, scope: _Message, receive: _Receive) -> bytes:
        """Return the whole body; raises ``Refused`` for one that is too large, or too slow."""
        most = self._serve.max_body_bytes
        headers = {name.lower(): value for name, value in scope["headers"]}
        declared = headers.get(b"content-length", b"0")
        length = int(declared) if declared.isdigit() else 0
        if length > most and (b"expect" in headers or length > _MOST_BODIES * most):
            raise self._too_large()
        if self._held > _MOST_BODIES * most:
            raise Refused(503, "busy", "Too many large requests are under way.", retry_after=5)
        try:
            async with asyncio.timeout(self._serve.client_seconds):
                content = await self._read(receive)
        except TimeoutError:
            raise Refused(
                408, "too_slow", f"The body did not arrive within {self._serve.client_seconds:g} s."
            ) from None
        self._held += len(content)
        return content

    async def _read(self, receive: _Receive) -> bytes:
        """Read a body to its end. One that is too large is not kept: many clients look for an answer only after it."""
        most, size = self._serve.max_body_bytes, 0
        content = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            part = message.get("body", b"")
            size += len(part)
            if size <= most:
                content += part
            if size > _MOST_BODIES * most or (size > most and not message.get("more_body", False)):
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(content)

    def _too_large(self) -> Refused:
        most = self._serve.max_body_bytes
        return Refused(413, "body_too_large", f"The body is larger than {most} bytes (serve.max_body_bytes).")


def _check_kind(headers: Mapping[bytes, str]) -> None:
    """Raise ``Refused`` for a body that is not declared as plain JSON."""
    if headers.get(b"content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "not_json", "Send JSON, with the header Content-Type: application/json.")
    if headers.get(b"content-encoding", "").strip().lower() not in ("", "identity"):
        raise Refused(415, "encoded", "Send the body as it is, without Content-Encoding.")


def _method(scope: _Message) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH") else "OTHER"


def _again(body: bytes, receive: _Receive) -> _Receive:
    """Return a ``receive`` that gives the body that was read, then what comes after it."""
    given = False

    async def again() -> _Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


class _Answer:
    """Sends an answer and knows its status; a client that does not take a part of it in time ends it."""

    def __init__(self, send: _Send, seconds: float) -> None:
        self._send, self._seconds = send, seconds
        self.status = 0

    async def send(self, message: _Message) -> None:
        """Send a part of the answer; raises ``TimeoutError``."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        async with asyncio.timeout(self._seconds):
            await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Send a refusal, unless an answer has begun."""
        if self.status:
            return
        body = error_of(refused)
        headers = {**headers_of(refused), "content-length": str(len(body))}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})
