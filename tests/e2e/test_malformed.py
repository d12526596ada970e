"""More than a thousand broken files, sent to a real server."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.test_decoding import M4A, WAV, post
from tests.support.malformed import malformed_files, whole_files
from tests.support.serving import serve

_LONGEST_SECONDS = 20  # of one answer, on a machine that has other things to do
_MEGABYTE = 1 << 20
_KINDS = {
    f"/problems/{kind}"
    for kind in ("corrupt", "empty", "invalid-samples", "recording-too-long", "undecodable")
} | {"/problems/unsupported-format"}


def test_every_broken_file_is_refused_or_answered_and_none_does_harm(siren_store: Path) -> None:
    files = dict(malformed_files())
    with (
        serve(models_dir=siren_store, max_seconds=600, log_format="json") as client,
        ThreadPoolExecutor(4) as threads,
    ):
        whole = {name: post(client, data) for name, data in whole_files().items()}
        assert {name: answer.status_code for name, answer in whole.items()} == dict.fromkeys(
            whole, 200
        )
        decoders = client.children()
        before = client.peak_memory()
        answered = threads.map(lambda data: post(client, data), files.values())
        answers = dict(zip(files, answered, strict=True))
        assert client.peak_memory() - before < 60 * _MEGABYTE
        # None of them broke a decoder down.
        assert set(decoders) <= set(client.children())
        for data in (WAV, M4A):
            assert post(client, data).json()["label"] == "siren"
        lines = [json.loads(line) for line in client.log.lines if not line.startswith("INFO:")]
    found = Counter(answer.status_code for answer in answers.values())
    assert set(found) <= {200, 415, 422}, {
        name: answer.text for name, answer in answers.items() if answer.status_code >= 500
    }
    assert found[415] + found[422] >= 800
    refused = {name: answer for name, answer in answers.items() if answer.status_code != 200}
    for name, answer in refused.items():
        assert answer.headers["content-type"] == "application/problem+json", name
        assert answer.json()["type"] in _KINDS, (name, answer.text)
    slowest = max(answers, key=lambda name: answers[name].elapsed)
    assert answers[slowest].elapsed.total_seconds() < _LONGEST_SECONDS, slowest
    assert {line["level"] for line in lines} == {"info"}


def test_the_corpus_is_the_same_each_time() -> None:
    first, again = dict(malformed_files()), dict(malformed_files())
    assert first == again
    assert len(first) > 1000
