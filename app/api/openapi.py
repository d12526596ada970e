"""The OpenAPI document: what FastAPI cannot know of what every route may answer."""

from http import HTTPMethod
from typing import Any

from fastapi import FastAPI

from app.api.middleware.api_key import SCHEMES, is_open
from app.api.problems import responses
from earshot.schemas import Problem

_METHODS = tuple(method.lower() for method in HTTPMethod)


def describe(app: FastAPI, *, keys: bool, limits: bool) -> None:
    """Complete the document of `app`.

    Args:
        app: whose routes are described; its `openapi` is replaced, FastAPI's own way to extend it.
        keys: whether API keys are asked for.
        limits: whether a client may be told that it asks too much.
    """
    document_of = app.openapi
    everywhere = responses("internal")
    guarded = (responses("unauthorized") if keys else {}) | (
        responses("too-many-requests") if limits else {}
    )

    def openapi() -> dict[str, Any]:
        document = document_of()
        components = document["components"]
        components["schemas"]["Problem"] = Problem.model_json_schema()
        if keys:
            components["securitySchemes"] = SCHEMES
            document["security"] = [{name: []} for name in SCHEMES]
        for path, operations in document["paths"].items():
            for operation in (operations[each] for each in _METHODS if each in operations):
                found = everywhere if is_open(path) else everywhere | guarded
                for status, response in found.items():
                    operation["responses"].setdefault(str(status), response)
                if keys and is_open(path):
                    operation["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]
