"""The description of the service: OpenAPI for programs, and the same as one page that loads nothing from elsewhere."""

import html
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from opeddev_tui import __version__
from opeddev_tui.serving.http.bodies import ChatAnswer, ChatRequest, ErrorBody, ModelList

_ROW = {
    "type": "object",
    "description": "A row as opeddev-tui grade takes it. What people wrote into it (grade, feedback) is never read by "
    "the model.",
    "required": ["submission"],
    "properties": {
        "submission": {"type": "string", "description": "The code that is graded."},
        "task": {"type": "string", "description": "Else grade.task, or the commonest of the training rows."},
        "rubric": {"type": "string", "description": "Else grade.rubric, or the commonest of the training rows."},
        "kind": {"type": "string", "description": "Such as html, css, javascript."},
        "id": {"type": ["string", "integer"], "description": "Comes back in the answer, as a text."},
    },
}
_NUMBER_OR_NULL = {"type": ["number", "null"]}
_GRADE = {"type": ["number", "string", "null"]}
_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TABLE = {"type": "object"}
# the fields of grade --json; docs/json.md describes them
_GRADED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": _TEXT_OR_NULL,
        "file": _TEXT_OR_NULL,
        "grade": _GRADE,
        "expected": _NUMBER_OR_NULL,
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "set": {"type": "array", "items": _GRADE},
        "confidence": _NUMBER_OR_NULL,
        "ask": {"type": "boolean", "description": "A person should look."},
        "why": {"type": "array", "items": _TEXT},
        "criteria": _TABLE,
        "feedback": _TEXT_OR_NULL,
        "checkpoint": _TEXT,
        "truncated": {"type": "boolean"},
        "assumed": _TABLE,
        "model": _TEXT,
        "way": _TEXT,
        "prompt_hash": _TEXT,
        "reference": _GRADE,
        "content": _TEXT,
        "graded_by": _TEXT,
        "measured": {"type": ["object", "null"], "description": "What the hold-out showed of grades by this way."},
    },
}
_GRADED["required"] = list(_GRADED["properties"])
_ROW_OR_ROWS = {
    "oneOf": [
        {"$ref": "#/components/schemas/Row"},
        {
            "type": "object",
            "required": ["submissions"],
            "properties": {"submissions": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}},
        },
    ]
}
_GRADED_OR_MANY = {
    "oneOf": [
        {"$ref": "#/components/schemas/Graded"},
        {
            "type": "object",
            "required": ["graded"],
            "properties": {"graded": {"type": "array", "items": {"$ref": "#/components/schemas/Graded"}}},
        },
    ]
}
_ALWAYS = {
    "401": "The token is missing or wrong",
    "403": "The request comes from a page of another origin",
    "405": "This path takes another method",
    "421": "The Host header does not name this machine, or one of serve.hosts",
    "503": "The model is being loaded, or the service stopped; see Retry-After",
}
_OF_BODIES = {
    "400": "The body or the query cannot be used; param names the place",
    "408": "The body did not arrive in time",
    "413": "The body is too large, or holds too many submissions",
    "415": "The body is not declared as plain JSON",
    "429": "The queue is full; see Retry-After",
    "500": "The model failed at this request",
    "504": "There was no answer in time; see Retry-After",
}
_OTHER_MODEL = {"404": "There is no model of this name"}
_REFUSALS = dict(sorted({**_ALWAYS, **_OF_BODIES, "404": "There is no such path, or no model of this name"}.items()))
_HEALTH = {
    "type": "object",
    "required": ["status"],
    "description": "The other fields are there once it is ready, for those with the token.",
    "properties": {
        "status": {"enum": ["loading", "ready", "stopping"]},
        "checkpoint": _TEXT,
        "model": _TEXT,
        "way": _TEXT,
        "grades": {"type": "array", "items": _TEXT},
        "texts": {"type": "boolean"},
        "waiting": {"type": "integer"},
        "notes": {"type": "array", "items": _TEXT},
    },
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    kinds = (ChatRequest, ChatAnswer, ModelList, ErrorBody)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opeddev-tui serve",
            "version": __version__,
            "description": "A trained grader of web-development code.",
        },
        "paths": _paths(),
        "components": {
            "schemas": {"Row": _ROW, "Graded": _GRADED, "Health": _HEALTH, **schemas},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths() -> dict[str, Any]:
    feedback = {"name": "feedback", "in": "query", "schema": {"type": "boolean", "default": False}}
    name = {"name": "model", "in": "path", "required": True, "schema": _TEXT}
    chat = _operation(
        "Go on with a conversation, as OpenAI's interface does; stream: true sends pieces",
        _content(_named("ChatAnswer")) | {"text/event-stream": {"schema": _TEXT}},
        _OF_BODIES | _OTHER_MODEL,
    )
    chat["requestBody"] = {"required": True, "content": _content(_named("ChatRequest"))}
    grade = _operation("Grade one submission or many, in their order", _content(_GRADED_OR_MANY), _OF_BODIES)
    grade |= {"requestBody": {"required": True, "content": _content(_ROW_OR_ROWS)}, "parameters": [feedback]}
    models = _operation("The model's name for chat completions", _content(_named("ModelList")))
    model = _operation("The same for one name", _content(_named("ModelEntry")), _OTHER_MODEL) | {"parameters": [name]}
    health = _operation("loading (503), ready (200) or stopping (503), with the checkpoint", _content(_named("Health")))
    del health["responses"]["401"]
    health["responses"]["503"] = {"description": "Not ready", "content": _content(_named("Health"))}
    return {
        "/grade": {"post": grade},
        "/v1/chat/completions": {"post": chat},
        "/v1/models": {"get": models},
        "/v1/models/{model}": {"get": model},
        "/health": {"get": health},
        "/metrics": {"get": _operation("Figures for Prometheus", {"text/plain": {"schema": _TEXT}})},
    }


def _named(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation(summary: str, content: dict[str, Any], refusals: dict[str, str] | None = None) -> dict[str, Any]:
    error = {"type": "object", "required": ["error"], "properties": {"error": _named("ErrorBody")}}
    refused = sorted({**_ALWAYS, **(refusals or {})}.items())
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "Done", "content": content},
            **{code: {"description": words, "content": _content(error)} for code, words in refused},
        },
    }


def page() -> str:
    """Return the description as HTML."""
    document = openapi()
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>opeddev-tui serve</title>",
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
        "pre{background:#f4f4f4;padding:.75rem;overflow:auto}code{font-size:.95em}</style>",
        f"<h1>opeddev-tui serve {html.escape(__version__)}</h1>",
        "<p>For programs: <a href='/openapi.json'>/openapi.json</a> (OpenAPI 3.1).</p>",
        *_operations(document),
        "<h2>Refusals</h2><ul>",
        *(f"<li><code>{code}</code> {html.escape(words)}</li>" for code, words in _REFUSALS.items()),
        "</ul>",
    ]
    return "\n".join(parts)


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
            yield f"<p>{html.escape(operation['summary'])}.</p>"
            body = operation.get("requestBody")
            if body is not None:
                name = "Row" if path == "/grade" else "ChatRequest"
                fields = document["components"]["schemas"][name]["properties"]
                yield f"<pre>{html.escape(json.dumps(fields, indent=2))}</pre>"
