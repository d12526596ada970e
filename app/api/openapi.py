"""The OpenAPI document: the parts that FastAPI cannot know of every route."""

from collections.abc import Collection, Mapping
from http import HTTPMethod
from typing import Any, get_args

from fastapi import FastAPI

from app.api.middleware.api_key import SECURITY_SCHEMES, is_open
from app.api.problem_types import SERVED_TYPES
from app.api.problems import openapi_responses
from app.api.rendering import SpectrogramFormat
from app.api.routes.explain import ExplanationFormat
from app.api.routes.spectrogram import Comparison
from app.api.state import AppState
from app.audio.stft import WindowName
from app.checkpoints.store import ModelKey
from app.rendering.spectrogram import ColourMap, FrequencyAxis
from earshot.schemas import CheckpointStatus, ExplanationMethod, Problem, Reason

# Each is one type in clients that are made from the document, wherever it occurs.
_ENUMS: Mapping[tuple[str, ...], str] = {
    SERVED_TYPES: "ProblemName",
    get_args(CheckpointStatus): "CheckpointStatus",
    get_args(ColourMap): "ColourMap",
    get_args(Comparison): "Comparison",
    get_args(ExplanationFormat): "ExplanationFormat",
    get_args(ExplanationMethod): "ExplanationMethod",
    get_args(FrequencyAxis): "FrequencyAxis",
    get_args(Reason): "Reason",
    get_args(SpectrogramFormat): "SpectrogramFormat",
    get_args(WindowName): "WindowName",
}
_METHODS = tuple(method.lower() for method in HTTPMethod)


def extend_openapi(app: FastAPI, *, has_keys: bool, has_limits: bool) -> None:
    """Extend the document of `app` with problems, keys, and the tasks of the store.

    Args:
        app: its `openapi` is replaced, FastAPI's own way to extend it.
        has_keys: whether API keys are required.
        has_limits: whether requests of one client are limited.
    """
    make_document = app.openapi
    everywhere = openapi_responses("internal", "invalid-parameter", "unknown-host")
    guarded = openapi_responses(
        "cross-origin",
        *(("unauthorized",) if has_keys else ()),
        *(("too-many-requests",) if has_limits else ()),
    )

    def openapi() -> dict[str, Any]:
        document = make_document()
        components = document["components"]
        components["schemas"]["Problem"] = Problem.model_json_schema()
        if has_keys:
            components["securitySchemes"] = SECURITY_SCHEMES
            document["security"] = [{name: []} for name in SECURITY_SCHEMES]
        state: AppState | None = getattr(app.state, "earshot", None)
        keys = () if state is None else tuple(state.registry.entries)
        for path, operations in document["paths"].items():
            for operation in (operations[each] for each in _METHODS if each in operations):
                found = everywhere if is_open(path) else everywhere | guarded
                for status, response in found.items():
                    operation["responses"].setdefault(str(status), response)
                if has_keys and is_open(path):
                    operation["security"] = []
                _name_checkpoints(operation.get("parameters", ()), keys)
        tasks, names = _tasks_and_names(keys)
        enums = {**_ENUMS, tuple(names): "CheckpointName", tuple(tasks): "Task"}
        _hoist_enums(document["paths"], enums, components["schemas"])
        for name in tuple(components["schemas"]):
            if name not in enums.values():
                _hoist_enums(components["schemas"][name], enums, components["schemas"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _name_checkpoints(parameters: list[dict[str, Any]], keys: Collection[ModelKey]) -> None:
    """Give the parameters of a route for any task the tasks and names that the store has now."""
    if not any((each["in"], each["name"]) == ("path", "task") for each in parameters):
        return
    tasks, names = _tasks_and_names(keys)
    values = {"task": tasks, "checkpoint": names, "window": names}
    for parameter in parameters:
        if parameter["name"] in values:
            found = values[parameter["name"]]
            parameter["schema"] = {"type": "string"} | ({"enum": found} if found else {})


def _tasks_and_names(keys: Collection[ModelKey]) -> tuple[list[str], list[str]]:
    return sorted({key.task for key in keys}), sorted({key.name for key in keys})


def _hoist_enums(
    node: Any, enums: Mapping[tuple[str, ...], str], components: dict[str, Any]
) -> None:
    """Move the enums below a node into components, and refer to them where they were."""
    children = node.values() if isinstance(node, dict) else node
    for child in children if isinstance(node, dict | list) else ():
        if isinstance(child, dict) and (name := _enum_name(child, enums)):
            components[name] = {"type": "string", "title": name, "enum": child.pop("enum")}
            for key in ("type", "title"):
                child.pop(key, None)
            child["$ref"] = f"#/components/schemas/{name}"
        else:
            _hoist_enums(child, enums, components)


def _enum_name(schema: dict[str, Any], enums: Mapping[tuple[str, ...], str]) -> str | None:
    values = schema.get("enum")
    return enums.get(tuple(values)) if isinstance(values, list) else None
