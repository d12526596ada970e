"""`POST /classify/{task}` over a real socket, with a checkpoint trained on generated sounds."""

import concurrent.futures
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.encoders import encode_av
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, SOUNDS, encode, make, tone

URBAN = "/classify/urban-sound"
OCTETS = "application/octet-stream"


def post(client: httpx.Client, data: bytes, path: str = URBAN, **query: str) -> httpx.Response:
    return client.post(path, files={"file": ("clip.wav", data)}, params=query)


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """Check that a response is the problem `kind`; returns its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["type"] == f"/problems/{kind}"
    assert body["title"]
    return body["detail"]


@pytest.mark.parametrize("label", SOUNDS)
@pytest.mark.parametrize("seed", [90_001, 90_002])
def test_new_sounds_of_each_kind_are_recognised(
    client: httpx.Client, label: str, seed: int
) -> None:
    answer = post(client, encode(make(label, seed))).json()
    assert answer["label"] == label
    assert answer["probability"] > 0.5


def test_the_whole_answer(client: httpx.Client) -> None:
    stereo = np.stack([make("siren", 90_003)] * 2, axis=1)
    response = post(client, encode(stereo, RATE, "FLAC"))
    assert response.status_code == 200
    answer = response.json()
    assert answer["task"] == "urban-sound"
    assert answer["audio"] == {
        "seconds": 2.0,
        "sample_rate": 16000,
        "channels": 2,
        "format": "flac",
    }
    [model] = client.get("/models").json()["models"]
    assert answer["checkpoint"] == {
        "task": "urban-sound",
        "name": "hann",
        "version": model["version"],
    }
    assert len(answer["ranked"]) == 3
    assert answer["ranked"][0] == {"label": "siren", "probability": answer["probability"]}
    assert "segments" not in answer


def test_all_probabilities_add_up_to_one_in_order(client: httpx.Client) -> None:
    ranked = post(client, encode(make("drilling", 90_004)), top_k="100").json()["ranked"]
    probabilities = [entry["probability"] for entry in ranked]
    assert len({entry["label"] for entry in ranked}) == 10
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-3)


def test_top_k(client: httpx.Client) -> None:
    assert len(post(client, encode(make("siren", 1)), top_k="1").json()["ranked"]) == 1


def test_a_long_recording_has_a_timeline(client: httpx.Client) -> None:
    """Six seconds of each: the change is found to half a clip."""
    scene = np.concatenate([make("siren", 7, seconds=6), make("drilling", 8, seconds=6.5)])
    answer = post(client, encode(scene)).json()
    first, second = answer["segments"]
    assert (first["start"], first["label"]) == (0, "siren")
    assert (second["end"], second["label"]) == (12.5, "drilling")
    assert first["end"] == second["start"] == pytest.approx(6, abs=2)
    options = {"hop_seconds": "0.5", "min_segment_seconds": "2.5"}
    finer = post(client, encode(scene), **options).json()["segments"]
    assert [segment["label"] for segment in finer] == ["siren", "drilling"]
    fractions = answer["label_fractions"]
    assert fractions["siren"] == pytest.approx(first["end"] / 12.5, abs=1e-3)
    assert sum(fractions.values()) == pytest.approx(1, abs=1e-3)
    merged = post(client, encode(scene), min_segment_seconds="7").json()["segments"]
    assert [(s["start"], s["end"]) for s in merged] == [(0, 12.5)]


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_silence_has_no_label(client: httpx.Client, level: float) -> None:
    answer = post(client, encode(np.full(RATE, level, np.float32))).json()
    assert (answer["label"], answer["reason"]) == (None, "silent")
    assert (answer["probability"], answer["ranked"]) == (0, [])
    assert answer["audio"]["seconds"] == 1


def test_silence_in_a_long_recording_has_no_label_and_no_share(client: httpx.Client) -> None:
    scene = np.concatenate([make("siren", 7, seconds=8), np.zeros(12 * RATE, np.float32)])
    answer = post(client, encode(scene)).json()
    assert answer["label"] == "siren"
    first, second = answer["segments"]
    assert (first["start"], first["label"], first.get("reason")) == (0, "siren", None)
    assert (second["label"], second["reason"], second["probability"]) == (None, "silent", 0)
    assert second["start"] == pytest.approx(8, abs=2)
    assert answer["label_fractions"] == {"siren": pytest.approx(first["end"] / 20, abs=1e-3)}


@pytest.mark.parametrize("format_", ["OGG", "MP3", "m4a", "webm"])
def test_compressed_formats_are_recognised_too(client: httpx.Client, format_: str) -> None:
    sound = make("car_horn", 90_005)
    if format_ == "m4a":
        data = encode_av(sound[:, None], RATE, "ipod", "aac")
    elif format_ == "webm":
        data = encode_av(sound[:, None], RATE, "webm", "libopus")
    else:
        data = encode(sound, RATE, format_)
    assert post(client, data).json()["label"] == "car_horn"


WAV = encode(make("siren", 1))
BAD_RECORDINGS = {
    "empty file": (b"", 422, "empty", "0 bytes"),
    "text": (b"a poem about sirens\n" * 99, 415, "unsupported-format", "send WAV"),
    "truncated": (WAV[:20_000], 422, "corrupt", "truncated"),
    "corrupt": (WAV[:12] + bytes(500), 422, "corrupt", "damaged"),
    "no samples": (encode(np.empty(0, np.float32)), 422, "empty", "zero samples"),
    "nan": (
        encode(np.full(RATE, np.nan, np.float32), subtype="FLOAT"),
        422,
        "invalid-samples",
        "NaN",
    ),
    "too long": (encode(tone(440, 61, 8000), 8000), 422, "recording-too-long", "60 s"),
    "too large": (encode(tone(440, 50, 22_050), 22_050), 413, "file-too-large", "2000000 bytes"),
}


@pytest.mark.parametrize("name", BAD_RECORDINGS)
def test_a_bad_recording_is_a_problem_of_its_own(client: httpx.Client, name: str) -> None:
    data, status, kind, detail = BAD_RECORDINGS[name]
    assert detail in problem(post(client, data), status, kind)


def test_bad_parameters_say_what_is_accepted(client: httpx.Client) -> None:
    for parameter in ("window", "checkpoint"):
        detail = problem(post(client, WAV, **{parameter: "kaiser"}), 422, "invalid-parameter")
        assert detail == "urban-sound has no checkpoint 'kaiser'; accepted: hann"
    both = post(client, WAV, window="hann", checkpoint="hann")
    assert "one of checkpoint and window" in problem(both, 422, "invalid-parameter")
    detail = problem(post(client, WAV, top_k="0"), 422, "invalid-parameter")
    assert "top_k: Input should be greater than or equal to 1" in detail


def test_a_task_that_is_not_there_says_which_are(client: httpx.Client) -> None:
    for path in ("/classify/emotion", "/classify/emotion/batch", "/hf/emotion", "/explain/emotion"):
        detail = problem(post(client, WAV, path=path), 404, "unknown-task")
        assert detail == "there is no task 'emotion'; there are: urban-sound"


def test_a_checkpoint_is_chosen_by_either_name(client: httpx.Client) -> None:
    by_default = post(client, WAV).json()
    assert by_default["checkpoint"]["name"] == "hann"
    for parameter in ("window", "checkpoint"):
        assert post(client, WAV, **{parameter: "hann"}).json() == by_default


@pytest.mark.parametrize("kind", ["audio/wav", "Audio/X-Wav; x=1", "video/mp4", OCTETS])
def test_the_body_may_be_the_recording(client: httpx.Client, kind: str) -> None:
    response = client.post(URBAN, content=WAV, headers={"content-type": kind})
    assert response.json() == post(client, WAV).json()


def test_a_bad_recording_as_the_body_is_a_problem_too(client: httpx.Client) -> None:
    headers = {"content-type": OCTETS}
    problem(client.post(URBAN, content=b"", headers=headers), 422, "empty")
    problem(client.post(URBAN, content=WAV[:20_000], headers=headers), 422, "corrupt")
    problem(client.post(URBAN, content=bytes(2_000_001), headers=headers), 413, "file-too-large")


def test_other_bodies_are_told_how_to_send(client: httpx.Client) -> None:
    response = client.post(URBAN, content=WAV)
    detail = problem(response, 415, "unsupported-media-type")
    assert "curl -F file=@clip.wav" in detail
    assert "audio/* or application/octet-stream" in detail
    response = client.post(URBAN, json={"inputs": "AAAA"})
    problem(response, 415, "unsupported-media-type")
    response = client.post(URBAN, files={"audio": WAV})
    assert "the request has 'audio'" in problem(response, 422, "missing-file")
    response = client.post(URBAN, files=[("file", WAV), ("file", WAV)])
    assert "more than once" in problem(response, 400, "malformed-multipart")


MULTIPART = {"content-type": "multipart/form-data; boundary=cut"}
HEAD = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    "body", [b"", b"nothing like it", HEAD + WAV, b"--cut\r\nno header\r\n\r\n"], ids=len
)
def test_a_malformed_body_is_a_problem(client: httpx.Client, body: bytes) -> None:
    problem(client.post(URBAN, content=body, headers=MULTIPART), 400, "malformed-multipart")


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")
def test_an_upload_over_the_limit_is_refused_as_it_streams_in(client: ServerClient) -> None:
    """Without Content-Length, so that only counting can tell; it is never held in memory."""

    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(2000):
            yield bytes(100_000)

    before = client.peak_memory()
    problem(client.post(URBAN, content=body(), headers=MULTIPART), 413, "file-too-large")
    assert client.peak_memory() - before < 20_000_000  # of 200 MB that were sent


def test_a_client_that_goes_away_costs_nothing(client: httpx.Client) -> None:
    for _ in range(20):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(
                f"POST {URBAN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
                f"Content-Type: multipart/form-data; boundary=cut\r\n\r\n".encode()
                + HEAD
            )
    assert post(client, WAV).json()["label"] == "siren"


def test_the_event_loop_stays_free(client: httpx.Client) -> None:
    """Health is answered again and again while long recordings are being worked on."""
    long = encode(np.tile(make("siren", 3), 29), RATE, "OGG")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        working = [pool.submit(post, client, long) for _ in range(4)]
        answered = 0
        while not all(future.done() for future in working):
            assert client.get("/healthz").status_code == 200
            answered += 1
        assert [future.result().status_code for future in working] == [200] * 4
    assert answered >= 5


def test_many_at_once_get_their_own_answers(client: httpx.Client) -> None:
    labels = [label for label in SOUNDS for _ in range(6)]
    clips = [encode(make(label, 50_000 + i)) for i, label in enumerate(labels)]
    alone = [post(client, clip).json() for clip in clips]
    assert {answer["label"] for answer in alone} == set(SOUNDS)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda clip: post(client, clip).json(), clips))
    assert [answer["label"] for answer in together] == [answer["label"] for answer in alone]
    assert [answer["probability"] for answer in together] == pytest.approx(
        [answer["probability"] for answer in alone], abs=1e-3
    )


def test_a_damaged_checkpoint_does_not_stop_the_others(trained_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(trained_store, store)
    shutil.copytree(store / "urban-sound" / "hann", store / "urban-sound" / "hamming")
    damaged = store / "urban-sound" / "hamming"
    card = json.loads((damaged / "card.json").read_text())
    card["name"] = "hamming"
    (damaged / "card.json").write_text(json.dumps(card))
    with (damaged / "model.onnx").open("r+b") as file:
        file.write(b"damage")
    shutil.copytree(store / "urban-sound" / "hann", store / "urban-sound" / "rectangular")
    card["name"] = "rectangular"
    (store / "urban-sound" / "rectangular" / "card.json").write_text(json.dumps(card))
    with serve(models_dir=store) as client:
        assert post(client, WAV).json()["label"] == "siren"
        detail = problem(post(client, WAV, window="hamming"), 503, "checkpoint-unavailable")
        assert detail == "urban-sound/hamming: model.onnx does not have the SHA-256 of its card"
        models = {model["name"]: model for model in client.get("/models").json()["models"]}
        assert models["hann"]["status"] == "loaded"
        assert models["rectangular"]["status"] == "available"
        assert (models["hamming"]["status"], models["hamming"]["error"]) == ("failed", detail)
        assert client.get("/readyz").status_code == 200


def test_without_checkpoints_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    with serve(models_dir=tmp_path) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        problem(client.get("/readyz"), 503, "not-ready")
        assert client.get("/models").json() == {"models": []}
        detail = problem(post(client, WAV), 404, "unknown-task")
        assert "none, the store holds no checkpoints" in detail
        absent = f"the store {tmp_path} holds no checkpoints; expected TASK/NAME/card.json below it"
        assert problem(client.get("/readyz"), 503, "not-ready") == absent
        assert f"WARNING  {absent}" in client.log.text
    with serve(models_dir=tmp_path / "none", genres_dir=tmp_path / "no", topk="5") as client:
        absent = f"the store {tmp_path}/none does not exist; EARSHOT_MODELS_DIR names another"
        assert problem(client.get("/readyz"), 503, "not-ready") == absent
        assert f"WARNING  {absent}" in client.log.text
        assert f"WARNING  the gallery {tmp_path}/no does not exist" in client.log.text
        assert "WARNING  EARSHOT_TOPK is no setting and has no effect" in client.log.text


def test_an_unfinished_upload_holds_a_place_and_gives_it_back(trained_store: Path) -> None:
    with serve(models_dir=trained_store, max_requests=1, client_timeout_seconds=6000) as client:
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address) as connection:
            connection.sendall(
                f"POST {URBAN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
                f"Expect: 100-continue\r\n"
                f"Content-Type: multipart/form-data; boundary=cut\r\n\r\n".encode()
            )
            # The server asks for the body: the request was accepted.
            assert b"100 Continue" in connection.recv(1000)
            response = post(client, WAV)
            detail = problem(response, 503, "overloaded")
            assert detail == "1 requests are being answered already; try again in a moment"
            assert response.headers["retry-after"] == "1"
            assert client.get("/readyz").status_code == 200
        while (response := post(client, WAV)).status_code == 503:
            pass
        assert response.json()["label"] == "siren"


def test_an_answer_that_takes_too_long_is_refused(trained_store: Path) -> None:
    with serve(models_dir=trained_store, request_timeout_seconds=0.001) as client:
        detail = problem(post(client, WAV), 503, "deadline")
        assert detail.startswith("there was no answer within 0.001 seconds")


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")
def test_a_long_recording_is_not_held(trained_store: Path) -> None:
    """Half an hour: 115 MB of samples if they were decoded at once."""
    scene = np.tile(np.concatenate([make("siren", 7), make("drilling", 8)]), 450)
    data = encode(scene, RATE, "FLAC")
    with serve(models_dir=trained_store) as client:
        assert post(client, WAV).status_code == 200
        before = client.peak_memory()
        answer = post(client, data).json()
        assert answer["audio"]["seconds"] == 1800
        assert client.peak_memory() - before < 2 * len(data) + 40_000_000


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        (URBAN, "topk=5", "unknown query parameter 'topk'; did you mean top_k?"),
        (URBAN, "top-K=5", "unknown query parameter 'top-K'; did you mean top_k?"),
        (URBAN, "hop=1", "unknown query parameter 'hop'; did you mean hop_seconds?"),
        (URBAN, "top_k=1&top_k=2", "the query parameter top_k is given 2 times; give it once"),
        (f"{URBAN}/batch", "hop_seconds=1", "unknown query parameter 'hop_seconds'; accepted: "),
        ("/hf/urban-sound", "top_k=1", "unknown query parameter 'top_k'; accepted: checkpoint, w"),
        ("/explain/urban-sound", "clips=1", "unknown query parameter 'clips'; did you mean clip?"),
        ("/spectrogram", "colormap=x", "unknown query parameter 'colormap'; did you mean colour"),
    ],
)
def test_no_parameter_is_passed_over(
    client: ServerClient, path: str, query: str, detail: str
) -> None:
    response = client.post(f"{path}?{query}", files={"file": WAV})
    assert problem(response, 422, "invalid-parameter").startswith(detail)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/models", "/genres"])
def test_routes_without_parameters_say_so(client: ServerClient, path: str) -> None:
    detail = problem(client.get(f"{path}?verbose=1"), 422, "invalid-parameter")
    accepted = "limit" if path == "/genres" else "none"
    assert detail == f"unknown query parameter 'verbose'; accepted: {accepted}"


@pytest.mark.parametrize(
    "link", ["/?utm_source=mail", "/web/main.js?v=2", "/docs?x", "/openapi.json?x"]
)
def test_links_to_pages_may_have_what_others_put_behind_them(
    client: ServerClient, link: str
) -> None:
    assert client.get(link).status_code == 200


def test_an_option_in_the_form_is_not_passed_over(client: ServerClient) -> None:
    response = client.post(URBAN, files={"file": WAV}, data={"topk": "5"})
    detail = problem(response, 422, "invalid-parameter")
    assert detail == "the form has the field 'topk'; options stand in the address, as ?top_k=..."
    response = client.post(URBAN, files={"file": WAV}, data={"MAX_FILE_SIZE": "9", "submit": ""})
    assert response.status_code == 200, "what browsers' forms have beside"
    lines = client.post(f"{URBAN}/batch", files={"file": WAV}, data={"top_k": "5"}).text
    answered, refused = map(json.loads, lines.splitlines())
    assert answered["result"]["label"] == "siren"
    assert refused["problem"]["type"] == "/problems/invalid-parameter"
