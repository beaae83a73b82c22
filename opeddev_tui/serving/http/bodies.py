"""Bodies of requests and answers: strict to what would change an answer, and every refusal names the place.

Errors have the form that clients of OpenAI's interface know: ``{"error": {message, type, code, param}}``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from opeddev_tui.config.settings import Generation
from opeddev_tui.data.byte_order import BOM
from opeddev_tui.data.rows import Message
from opeddev_tui.serving.http.jobs import Refused, TextJob
from opeddev_tui.text import clean_line

_PLACE = re.compile(r" - at `(\$[^`]*)`$")
# fields of OpenAI's interface that ask for what is not done here, with the values that ask for nothing
_NOT_DONE: Mapping[str, tuple[object, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "modalities": (None, [], ["text"]),
    "prediction": (None,),
    "web_search_options": (None,),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    # of other servers with this interface
    "prompt_logprobs": (None, 0),
    "top_k": (None, 0, -1),
    "min_p": (None, 0),
    "typical_p": (None, 1),
    "repetition_penalty": (None, 1),
    "length_penalty": (None, 1),
    "use_beam_search": (None, False),
    "min_tokens": (None, 0),
    "ignore_eos": (None, False),
    "stop_token_ids": (None, []),
    "bad_words": (None, []),
    "echo": (None, False),
    "suffix": (None, ""),
    "continue_final_message": (None, False),
    "add_generation_prompt": (None, True),
    "chat_template": (None,),
    "chat_template_kwargs": (None, {}),
    "structured_outputs": (None,),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar"), (None,)),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "audio": (None,),
}


class ErrorBody(Struct):
    """What was wrong: a sentence, a kind, a code for programs, the place in the request ("" where there is none)."""

    message: str
    type: str
    code: str
    param: str | None = None


def error_of(refused: Refused) -> bytes:
    """Return the body of a refusal."""
    kind = "invalid_request_error" if refused.status < 500 and refused.status != 429 else "server_error"
    return msgspec.json.encode({"error": ErrorBody(refused.message, kind, refused.code, refused.place or None)})


def headers_of(refused: Refused) -> dict[str, str]:
    """Return the headers of a refusal beside the length of its body."""
    headers = {"content-type": "application/json"}
    if refused.retry_after:
        headers["retry-after"] = str(refused.retry_after)
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refused.status in (408, 413):
        # what the client still sends is not read
        headers["connection"] = "close"
    return headers


def decoded(body: bytes, kind: Any = Any) -> Any:
    """Return the JSON ``body`` as ``kind``; raises ``Refused`` (400) with the place."""
    if not body.strip():
        raise Refused(400, "empty_body", "The body is empty: send a JSON object.")
    try:
        return msgspec.json.decode(body.removeprefix(BOM), type=kind)
    except RecursionError:
        raise Refused(400, "invalid_json", "The body is nested too deeply.") from None
    except msgspec.ValidationError as error:
        words = str(error)
        found = _PLACE.search(words)
        place = found[1] if found else "$"
        raise Refused(400, "invalid_body", f"{_PLACE.sub('', words)}, at {place}.", place=place) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "invalid_json", f"The body is not valid JSON: {clean_line(str(error))}.") from None


def rows_of(body: bytes, most: int) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows of a request to /grade, and whether it was one row by itself; raises ``Refused``."""
    content = decoded(body)
    if not isinstance(content, dict):
        raise Refused(400, "invalid_body", 'Send an object: a row, or {"submissions": [rows]}.', place="$")
    if "submissions" not in content:
        if not isinstance(content.get("submission"), str) or not content["submission"].strip():
            raise Refused(
                400,
                "no_submission",
                "The row has no submission: it needs a text under submission, at $.submission.",
                place="$.submission",
            )
        return [content], True
    rows = content["submissions"]
    if not isinstance(rows, list) or not rows:
        raise Refused(400, "invalid_body", "submissions must be a list of rows.", place="$.submissions")
    if len(rows) > most:
        raise Refused(
            413,
            "too_many_submissions",
            f"{len(rows)} submissions are more than the {most} of one request (serve.max_submissions).",
            place="$.submissions",
        )
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            place = f"$.submissions[{at}]"
            raise Refused(400, "invalid_body", f"A row must be an object, at {place}.", place=place)
    return rows, False


# --- chat completions


class TextPart(Struct):
    """A part of a message; only texts are read."""

    text: str
    type: Literal["text"] = "text"


class ChatMessage(Struct):
    """One turn; a developer's counts as the system's."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def turn(self) -> Message:
        """The turn as the encoder takes it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(Struct):
    """Options of a stream."""

    include_usage: bool | None = False


class ChatRequest(Struct):
    """The part of OpenAI's request that is done here; other fields are passed over, or refused if they would matter."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=1000)]
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=10)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: Annotated[str, Meta(min_length=1)] | list[Annotated[str, Meta(min_length=1)]] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None


def chat_request(body: bytes) -> ChatRequest:
    """Return the request in ``body``; raises ``Refused`` for what is wrong in it or is not done here."""
    asked: ChatRequest = decoded(body, ChatRequest)
    whole: dict[str, Any] = decoded(body)
    for name, nothing in _NOT_DONE.items():
        if whole.get(name) not in nothing:
            raise Refused(400, "not_supported", f"{name} is not supported, at $.{name}.", place=f"$.{name}")
    return asked


def text_job(asked: ChatRequest, generation: Generation) -> TextJob:
    """Return the job of a request; what it does not say is as the settings of the training have it."""
    named = asked.max_completion_tokens or asked.max_tokens
    most = min(named or generation.max_new_tokens, 8192)
    sampling = generation
    if asked.temperature is not None:
        sampling = replace(sampling, do_sample=asked.temperature > 0, temperature=asked.temperature or 1.0)
    if asked.top_p is not None:
        # of nothing but the likeliest token, that is left
        sampling = replace(sampling, top_p=asked.top_p) if asked.top_p else replace(sampling, do_sample=False)
    stops: Sequence[str] = [asked.stop] if isinstance(asked.stop, str) else asked.stop or ()
    return TextJob([item.turn for item in asked.messages], sampling, most, stops=stops, seed=asked.seed)


class Usage(Struct):
    """Tokens of a completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Reply(Struct, omit_defaults=True):
    """What the model wrote, whole or the next piece of it."""

    role: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChatChoice(Struct, omit_defaults=True):
    """The one choice: ``message`` of an answer, ``delta`` of a stream's piece; ``finish_reason`` is stop or length."""

    index: int
    finish_reason: str | None
    message: Reply | UnsetType = UNSET
    delta: Reply | UnsetType = UNSET


class ChatAnswer(Struct):
    """An answer, or a piece of a stream. ``truncated``: the middle of the conversation was not read."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage | UnsetType | None = UNSET
    truncated: bool | UnsetType = UNSET


class ModelEntry(Struct):
    """A model that can be named in a request."""

    id: str
    created: int = 0
    object: str = "model"
    owned_by: str = "opeddev-tui"


class ModelList(Struct):
    """The models of this service: one."""

    data: list[ModelEntry] = field(default_factory=list)
    object: str = "list"
