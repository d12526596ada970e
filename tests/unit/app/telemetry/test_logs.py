"""The two formats of a line."""

import json
import logging
import sys

from app.telemetry.logs import JsonFormatter, TextFormatter, request_ids


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("app.test", logging.WARNING, "file", 1, message, args, None)
    made.created = 1_700_000_000.25
    made.fields = fields
    return made


def failed() -> logging.LogRecord:
    made = record("it %s", "failed")
    try:
        raise ValueError("the\nreason")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_json_is_one_object_a_line() -> None:
    line = JsonFormatter().format(record('a "word" in\ntwo %s', "lines", status=503))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "app.test",
        "message": 'a "word" in\ntwo lines',
        "status": 503,
    }


def test_an_exception_stays_on_its_line() -> None:
    line = JsonFormatter().format(failed())
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == "it failed"
    assert entry["exception"].startswith("Traceback (most recent call last):\n")
    assert entry["exception"].endswith("ValueError: the\nreason")


def test_text_names_its_fields() -> None:
    line = TextFormatter().format(record("slow", milliseconds=7))
    assert line == "2023-11-14T22:13:20.250Z WARNING  slow milliseconds=7"
    assert TextFormatter().format(failed()).endswith("ValueError: the\nreason")


def test_lines_of_a_request_have_its_ids() -> None:
    token = request_ids.set({"request_id": "r1", "trace_id": "t1"})
    try:
        entry = json.loads(JsonFormatter().format(record("half way")))
    finally:
        request_ids.reset(token)
    assert (entry["request_id"], entry["trace_id"]) == ("r1", "t1")
    assert "request_id" not in json.loads(JsonFormatter().format(record("elsewhere")))
