"""A model folder of Hugging Face, and its upload to a server that speaks as the hub does."""

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import onnx
import pytest
import yaml
from huggingface_hub import ModelCard

from app.checkpoints import store
from earshot.cli import main

SHIPPED = Path(__file__).parents[3] / "models_store" / "urban-sound" / "edge"
"""the smallest: an upload holds all of it"""


class Hub(ThreadingHTTPServer):
    """Takes what huggingface_hub sends for a new repository of small files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str]] = []
        self.created: dict[str, object] = {}
        self.files: dict[str, bytes] = {}
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.requests.append(("GET", self.path))
        self._answer({"id": "anna/street", "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(("POST", self.path))
        if self.server.refuses or self.headers["Authorization"] != "Bearer hf_test":
            self._answer({"error": "Invalid user token"}, 401)
        elif self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self._answer({"url": f"{self.server.url}/anna/street", "name": "anna/street"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            plain = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            self._answer({"files": plain})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            address = f"{self.server.url}/anna/street/commit/{'0' * 40}"
            self._answer({"commitUrl": address, "commitOid": "0" * 40, "success": True})
        else:
            self._answer({})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield server
    server.shutdown()
    server.server_close()


def push(*options: str) -> None:
    main(["push", "anna/street", "--checkpoint", str(SHIPPED), *options])


def test_the_folder_is_a_model_and_still_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "urban-sound" / "edge"
    push("--folder", str(folder), "--no-upload")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "card.json",
        "model.onnx",
    ]
    # As downloaded into a store, it is served: every hash is that of its file.
    card = store.load_folder(folder).card
    shipped = store.load_folder(SHIPPED).card
    assert card.model_copy(update={"files": shipped.files}) == shipped
    facts = {each.key: each.value for each in onnx.load(folder / "model.onnx").metadata_props}
    assert tuple(facts["labels"].split("\n")) == card.labels

    readme = (folder / "README.md").read_text()
    _, header, text = readme.split("---\n", 2)
    fields = yaml.safe_load(header)
    assert fields["license"] == "cc-by-nc-3.0"
    assert fields["pipeline_tag"] == "audio-classification"
    assert card.metrics is not None
    [result] = fields["model-index"][0]["results"]
    values = {each["type"]: each["value"] for each in result["metrics"]}
    assert values["accuracy"] == card.metrics.overall.accuracy
    assert "hf download anna/street --local-dir store/urban-sound/edge" in text
    assert f"| all | {card.metrics.overall.clips} |" in text
    assert all(corpus.licence in text for corpus in card.training.corpora)
    assert "Held out: urbansound8k: 1." in text
    # The hub's own reader takes it.
    [measured, *_] = ModelCard(readme).data.eval_results or []
    assert (measured.metric_type, measured.metric_value) == ("accuracy", values["accuracy"])

    push("--folder", str(folder), "--no-upload")  # again, over itself
    (folder / "notes.txt").touch()
    with pytest.raises(SystemExit, match=r"holds other files \(notes\.txt\), which would be upl"):
        push("--folder", str(folder), "--no-upload")


def test_several_licences_are_other(tmp_path: Path) -> None:
    content = json.loads((SHIPPED / "card.json").read_text())
    content["training"]["corpora"][0]["licence"] = "not stated"
    content["metrics"] = None
    copy = tmp_path / "store" / "urban-sound" / "edge"
    shutil.copytree(SHIPPED, copy)
    (copy / "card.json").write_text(json.dumps(content))
    main(
        [
            *("push", "anna/street", "--checkpoint", str(copy)),
            *("--folder", str(tmp_path / "folder"), "--no-upload"),
        ]
    )
    readme = (tmp_path / "folder" / "README.md").read_text()
    fields = yaml.safe_load(readme.split("---\n", 2)[1])
    assert (fields["license"], fields["license_name"]) == ("other", "of-the-recordings")
    assert "model-index" not in fields
    assert "It has not been measured." in readme


def test_the_folder_is_uploaded(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    push("--folder", str(folder), "--private")
    assert hub.created["name"] == "street"
    assert hub.created["organization"] == "anna"
    # Its versions name it differently.
    assert hub.created.get("private") or hub.created.get("visibility") == "private"
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_upload_that_fails_says_how_to_do_it_later(hub: Hub, tmp_path: Path) -> None:
    hub.refuses = True
    folder = tmp_path / "folder"
    with pytest.raises(SystemExit) as stopped:
        push("--folder", str(folder))
    message = str(stopped.value.code)
    assert message.startswith("earshot: could not upload to anna/street: ")
    assert f"the folder is complete: `hf upload anna/street {folder}` uploads it" in message
    assert "\n" not in message
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("repo", ["street", "anna/street/1", "anna/", "anna/str eet"])
def test_what_is_no_repository_is_refused(repo: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected USER/NAME, such as anna/birds, got"):
        main(["push", repo, "--checkpoint", str(SHIPPED), "--folder", str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="earshot: no checkpoint birds/fit in"):
        main(["push", "anna/birds", "--checkpoint", str(tmp_path / "birds" / "fit")])
