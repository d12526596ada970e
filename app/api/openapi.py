"""The OpenAPI document: the parts that FastAPI cannot know of every route."""

from collections.abc import Collection
from http import HTTPMethod
from typing import Any

from fastapi import FastAPI

from app.api.middleware.api_key import SECURITY_SCHEMES, is_open
from app.api.problems import openapi_responses
from app.api.state import AppState
from app.checkpoints.store import ModelKey
from earshot.schemas import Problem

_METHODS = tuple(method.lower() for method in HTTPMethod)


def extend_openapi(app: FastAPI, *, has_keys: bool, has_limits: bool) -> None:
    """Extend the document of `app` with problems, keys, and the tasks of the store.

    Args:
        app: its `openapi` is replaced, FastAPI's own way to extend it.
        has_keys: whether API keys are required.
        has_limits: whether requests of one client are limited.
    """
    make_document = app.openapi
    everywhere = openapi_responses("internal")
    guarded = (openapi_responses("unauthorized") if has_keys else {}) | (
        openapi_responses("too-many-requests") if has_limits else {}
    )

    def openapi() -> dict[str, Any]:
        document = make_document()
        components = document["components"]
        components["schemas"]["Problem"] = Problem.model_json_schema()
        if has_keys:
            components["securitySchemes"] = SECURITY_SCHEMES
            document["security"] = [{name: []} for name in SECURITY_SCHEMES]
        state: AppState | None = getattr(app.state, "earshot", None)
        for path, operations in document["paths"].items():
            for operation in (operations[each] for each in _METHODS if each in operations):
                found = everywhere if is_open(path) else everywhere | guarded
                for status, response in found.items():
                    operation["responses"].setdefault(str(status), response)
                if has_keys and is_open(path):
                    operation["security"] = []
                if state is not None:
                    _name_checkpoints(operation.get("parameters", ()), state.registry.entries)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _name_checkpoints(parameters: list[dict[str, Any]], keys: Collection[ModelKey]) -> None:
    """Give the parameters of a route for any task the tasks and names that the store has now."""
    if not any((each["in"], each["name"]) == ("path", "task") for each in parameters):
        return
    names = sorted({key.name for key in keys})
    values = {"task": sorted({key.task for key in keys}), "checkpoint": names, "window": names}
    for parameter in parameters:
        if parameter["name"] in values:
            found = values[parameter["name"]]
            schema = {"type": "string", "title": parameter["schema"]["title"]}
            parameter["schema"] = schema | ({"enum": found} if found else {})
