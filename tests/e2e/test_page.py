"""The page at `/`, in a real browser, against a real server."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.api.api_keys import make_key
from app.audio.mel import hz_to_mel, mel_to_hz
from app.audio.stft import WINDOWS, WindowName, analysis_window
from app.checkpoints import store
from app.checkpoints.store import ModelKey
from earshot.audio_formats import ACCEPTED_FORMATS, AUDIO_SUFFIXES
from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant
from tests.support.sounds import RATE, encode, make

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page, expect = playwright.Browser, playwright.Page, playwright.expect
browsers = pytest.importorskip("tests.support.browsers")
choose_file, open_page, wait_until = browsers.choose_file, browsers.open_page, browsers.wait_until

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models_store"
UNKNOWN = ROOT / "assets" / "genres" / "jazz" / "lamplight_vibes.ogg"
WILDCARDS = {"audio/*", "video/*"}
FAULTS = ("bearing_worn", "belt_slipping", *(f"fault_{number}" for number in range(8)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerClient]:
    """Serve emotion, urban-sound with three windows, one damaged, and a task of another name.

    The networks are those of the hann windows. They give every clip a label: to a shipped
    checkpoint, sounds made by arithmetic may well be out of distribution.
    """
    root = tmp_path_factory.mktemp("store")
    save_copy(root, "emotion", ModelKey("emotion", "hann"))
    save_copy(root, "urban-sound", ModelKey("urban-sound", "hann"))
    save_copy(root, "urban-sound", ModelKey("urban-sound", "hamming"), window="hamming")
    save_copy(root, "urban-sound", ModelKey("machine-faults", "small-network"), labels=FAULTS)
    (root / "urban-sound" / "rectangular").mkdir()
    with serve(models_dir=root) as client:
        yield client


def save_copy(
    root: Path,
    source: str,
    key: ModelKey,
    *,
    window: WindowName = "hann",
    labels: tuple[str, ...] | None = None,
) -> None:
    """Save the shipped hann checkpoint of the task `source` under another key."""
    shipped = store.load(SHIPPED, ModelKey(source, "hann"))
    card = shipped.card
    assert card.ood is not None
    changes = {
        **key._asdict(),
        "labels": labels or card.labels,
        "input": card.input.model_copy(update={"window": window}),
        "ood": card.ood.model_copy(update={"threshold": None}),
        "metrics": None if labels else card.metrics,
    }
    files = {name: shipped.folder / name for name in card.files}
    store.save(root, card.model_copy(update=changes), files)


@pytest.fixture
def page(browser: Browser, server: ServerClient) -> Iterator[Page]:
    """Open the page and wait until it has loaded."""
    with open_page(browser, server) as page:
        page.goto("/")
        expect(page.get_by_role("button", name="Street music")).to_be_visible()
        yield page


def street_scene(seconds: float = 10.0) -> bytes:
    """Return a recording of a siren, then drilling."""
    half = seconds / 2
    return encode(np.concatenate([make("siren", 1, half), make("drilling", 1, half)]))


def format_label(label: str) -> str:
    return label.replace("_", " ")


def format_percent(probability: float) -> str:
    return f"{100 * probability:.{1 if probability < 0.1 else 0}f} %"


def format_bars(values: list[tuple[str, float]]) -> list[str]:
    return [f"{format_label(label)}why?{format_percent(value)}" for label, value in values]


def shares(result: dict) -> list[tuple[str, float]]:
    """Return the labels of a long recording that has one all the time, the most frequent first."""
    fractions = result["label_fractions"]
    assert sum(fractions.values()) == pytest.approx(1, abs=0.001)
    return sorted(fractions.items(), key=lambda item: -item[1])


def headline(result: dict) -> str:
    """Return the headline of a recording that has a label all the time."""
    if "segments" not in result:
        return f"{format_label(result['label'])} {format_percent(result['probability'])}"
    parts = [f"{format_label(x)} {format_percent(share)}" for x, share in shares(result)]
    noun = {"urban-sound": "sounds", "emotion": "emotions"}.get(result["task"], "labels")
    if len(parts) == 1:
        return f"{parts[0]} of the time"
    return f"{len(parts)} {noun}: {', '.join(parts[:3] + ['…'] * (len(parts) > 3))}"


def expect_result(page: Page, result: dict) -> None:
    card = page.locator(f"article[data-checkpoint={result['checkpoint']['name']}]")
    expect(card.locator(".headline")).to_have_text(headline(result))
    ranked = [(each["label"], each["probability"]) for each in result["ranked"]]
    bars = card.locator(".bars")
    if "segments" in result:
        expect(bars.first.locator("li")).to_have_text(format_bars(shares(result)))
        expect(bars.last.locator("li")).to_have_text(format_bars(ranked))
    else:
        expect(bars.locator("li")).to_have_text(format_bars(ranked))
    if "segments" in result and page.locator("#segments:not([open])").count():
        cells = [
            text
            for segment in result["segments"]
            for text in (format_label(segment["label"]), format_percent(segment["probability"]))
        ]
        page.get_by_text("The timeline as a table").click()
        expect(page.locator("tbody td:nth-child(n+4)")).to_have_text(cells)


def classify(server: ServerClient, content: bytes, task: str = "urban-sound", **query: str) -> dict:
    query["top_k"] = "5"
    return server.post(f"/classify/{task}", params=query, files={"file": content}).json()


def test_a_chosen_file_is_drawn_and_classified_as_the_api_does(
    page: Page, server: ServerClient
) -> None:
    content = street_scene()
    choose_file(page, content)
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    expect(page.locator("#recording-name")).to_have_text("street.wav")
    result = classify(server, content)
    expect_result(page, result)
    expect(page.get_by_role("status")).to_have_text(f"{headline(result)}.")
    # Blocks tell neighbours apart: they follow one another, from end to end.
    places = page.locator(".block").evaluate_all(
        "blocks => blocks.map(b => [parseFloat(b.style.left), parseFloat(b.style.width)])"
    )
    ends = [0, *(left + width for left, width in places)]
    assert [left for left, _ in places] == pytest.approx(ends[:-1], abs=0.01)
    assert ends[-1] == pytest.approx(100, abs=0.1)


def test_a_long_file_shows_its_progress(page: Page, server: ServerClient) -> None:
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const bar = document.querySelector("progress:not([hidden])");
                const text = document.querySelector(".progress-text");
                if (bar) window.seen.push([bar.value, text.textContent]);
            }).observe(document.querySelector("#results"),
                { subtree: true, childList: true, attributes: true });
        }"""
    )
    content = street_scene(60)
    choose_file(page, content)
    expect_result(page, classify(server, content))
    # Batches of eight clips of 4 s, two seconds apart; the last has no event but the result.
    # Events that came together may be shown together.
    times = [[seconds / 60, f"0:{seconds}.0 of 1:00.0"] for seconds in (18, 34, 50)]
    seen = page.evaluate("window.seen")
    assert seen
    assert seen == sorted(seen)
    assert all(each in times for each in seen)


def test_a_problem_in_the_middle_is_shown(page: Page, server: ServerClient) -> None:
    # A FLAC file whose end is damaged.
    content = bytearray(encode(np.tile(make("siren", 7), 48), RATE, "FLAC"))
    content[-5_000:] = bytes(5_000)
    problem = server.post("/classify/urban-sound", files={"file": bytes(content)}).json()
    choose_file(page, bytes(content), "damaged.flac")
    expect(page.get_by_role("alert")).to_contain_text(problem["detail"][1:])
    expect(page.locator("article")).to_have_count(0)


def test_a_dropped_file_and_another_task(page: Page, server: ServerClient) -> None:
    content = street_scene(2)
    page.evaluate(
        """content => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "dropped.wav"));
            document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        list(content),
    )
    expect_result(page, classify(server, content))
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(page.get_by_text("Do not use them to judge people")).to_be_visible()
    expect_result(page, classify(server, content, "emotion"))


def test_clicking_the_timeline_seeks(page: Page) -> None:
    choose_file(page, street_scene())
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    stage = page.get_by_role("slider", name="Position in the recording")
    size = stage.bounding_box()
    stage.click(position={"x": 0.75 * size["width"], "y": 20})
    expect(page.locator("#clock")).to_have_text("0:07.5 / 0:10.0")
    assert page.locator("audio").evaluate("audio => audio.currentTime") == pytest.approx(
        7.5, abs=0.1
    )
    expect(page.locator(".block").first).to_be_visible()
    page.locator("#timeline").click(position={"x": 0.2 * size["width"], "y": 10})
    expect(page.locator("#clock")).to_have_text("0:02.0 / 0:10.0")


def test_windows_side_by_side(page: Page, server: ServerClient) -> None:
    content = street_scene()
    choose_file(page, content)
    page.get_by_text("Advanced: windows").click()
    expect(page.get_by_text("Those named for an analysis window")).to_be_visible()
    expect(page.get_by_label("Rectangular", exact=True)).to_be_disabled()
    models = server.get("/models").json()["models"]
    (error,) = (model["error"] for model in models if model["status"] == "failed")
    expect(page.get_by_text(f"Rectangular not loaded: {error}.")).to_be_visible()
    hann, hamming = (classify(server, content, checkpoint=name) for name in ("hann", "hamming"))
    plot = page.locator("#spectrogram[data-drawn=true]")
    hann_image = plot.evaluate("canvas => canvas.toDataURL()")
    page.get_by_label("Hamming", exact=True).check(force=True)
    expect_result(page, hamming)
    wait_until(
        page, "before => document.querySelector('#spectrogram').toDataURL() != before", hann_image
    )
    page.get_by_label("Compare windows").check()
    expect(page.locator("article")).to_have_count(2)
    expect_result(page, hann)
    expect_result(page, hamming)
    expect(page.locator(".row-name")).to_have_text(["Hann", "Hamming"])
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(page.get_by_label("Compare windows")).to_be_disabled()
    expect(page.locator("article h3")).to_have_text(["Hann window"])


def test_a_task_that_the_page_does_not_know_by_name(page: Page, server: ServerClient) -> None:
    content = street_scene()
    choose_file(page, content)
    expect(page.locator(".headline")).to_be_visible()
    task = page.get_by_role("group", name="Listen for").get_by_role("radio")
    expect(task).to_have_count(3)
    page.get_by_label("Machine faults").check(force=True)
    labels = page.get_by_role("list", name="Labels", exact=True).get_by_role("listitem")
    expect(labels).to_have_text([format_label(label) for label in FAULTS])
    page.get_by_text("Advanced: checkpoints").click()
    names = page.get_by_role("group", name="Checkpoint").get_by_role("radio")
    expect(names).to_have_count(1)
    expect(page.get_by_label("Small network")).to_be_checked()
    expect(page.get_by_label("Compare checkpoints")).to_be_disabled()
    result = classify(server, content, "machine-faults")
    assert result["label"] in FAULTS
    expect(page.locator("article h3")).to_have_text("Small network")
    expect_result(page, result)
    expect(page.locator("article > .note")).to_have_text(
        f"Version {result['checkpoint']['version']}."
    )


def test_the_first_screen_says_what_is_heard(page: Page, server: ServerClient) -> None:
    introduction = page.get_by_text("Earshot hears")
    expect(introduction).to_have_text(
        "Earshot hears 10 street sounds, 7 emotions in a voice and 10 labels of Machine faults."
    )
    labels = page.get_by_role("list", name="Labels", exact=True).get_by_role("listitem")
    for task, name in (("urban-sound", "Street sounds"), ("emotion", "Emotion in a voice")):
        page.get_by_label(name).check(force=True)
        shown = {
            model["task"]: model.get("labels")
            for model in server.get("/models").json()["models"]
            if "labels" in model
        }
        expect(labels).to_have_text([format_label(label) for label in shown[task]])
    expect(page.get_by_label("Hann", exact=True)).to_be_hidden()


def test_the_name_is_shown_at_once_and_the_old_answer_goes(page: Page) -> None:
    choose_file(page, street_scene(2))
    expect(page.locator(".headline")).to_be_visible()
    page.route("**/classify/**", lambda _: None)  # is never answered
    choose_file(page, street_scene(3), "next.wav")
    expect(page.locator("#recording-name")).to_have_text("next.wav")
    expect(page.locator("article")).to_have_text("Hann windowListening…")
    expect(page.locator("#stage.is-pending")).to_be_visible()
    expect(page.locator("#legend li")).to_have_count(0)
    # The browser and the service share this machine: the answer first.
    expect(page.locator("#spectrogram")).to_have_attribute("data-drawn", "false")


def test_the_shipped_checkpoint_answers_the_examples_and_folds_what_is_unknown(
    browser: Browser,
) -> None:
    with serve(models_dir=SHIPPED) as server, open_page(browser, server) as page:
        page.goto("/")
        headings = {
            "Dog bark": "dog bark 100 %",
            "Siren": "siren",
            "Street scene": "3 sounds: siren 25 %",
            "Street music": "street music 100 % of the time",
        }
        for example, heard in headings.items():
            page.get_by_role("button", name=example, exact=True).click()
            expect(page.locator(".headline")).to_have_text(
                re.compile(rf"^{heard}".replace(" %", r"\s%"))
            )
        expect(page.locator("#examples button")).to_have_count(10)
        page.get_by_label("Emotion in a voice").check()
        expect(page.locator("#examples button")).to_have_text(["German voice", "Italian voice"])
        page.get_by_role("button", name="Italian voice").click()
        expect(page.locator(".headline")).to_have_text(re.compile("^neutral"))
        page.get_by_label("Street sounds").check()
        choose_file(page, UNKNOWN.read_bytes(), UNKNOWN.name)
        expect(page.locator(".headline")).to_have_text("nothing recognised")
        expect(page.locator(".reason")).to_contain_text("unlike all sounds")
        fold = page.get_by_text("If it had to be one of these")
        expect(page.locator(".bars")).to_be_hidden()
        fold.click()
        expect(page.locator(".bars li")).to_have_count(5)


def test_the_models_are_requested_again_where_that_failed(page: Page, server: ServerClient) -> None:
    page.route("**/models", lambda route: route.abort())
    page.reload()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("The server cannot be reached")
    page.unroute("**/models")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Street music")).to_be_visible()
    expect(alert).to_be_empty()
    content = street_scene(2)
    choose_file(page, content)
    expect_result(page, classify(server, content))


def test_a_problem_is_told_once_and_leaves_no_older_sound(page: Page, server: ServerClient) -> None:
    content = street_scene(2)
    choose_file(page, content)
    result = classify(server, content)
    expect_result(page, result)
    text = b"These are notes, not sound.\n" * 9
    choose_file(page, text, "notes.wav")
    problem = server.post("/classify/urban-sound", files={"file": text}).json()
    alert = page.get_by_role("alert")
    for words in ("notes.wav", problem["title"], problem["detail"]):
        expect(alert).to_contain_text(words)
    assert page.get_by_text(problem["title"]).count() == 1
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.locator("#recording")).to_be_hidden()
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_be_empty()
    choose_file(page, text, "notes.wav")
    expect(alert).to_contain_text("notes.wav")
    choose_file(page, content)
    expect(alert).to_be_empty()
    expect_result(page, result)


def test_a_lost_server_is_shown_and_requested_again(page: Page, server: ServerClient) -> None:
    page.route("**/classify/**", lambda route: route.abort())
    content = street_scene(2)
    choose_file(page, content)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(page.locator("article")).to_have_count(0)
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    page.unroute("**/classify/**")
    page.get_by_role("button", name="Try again").click()
    expect_result(page, classify(server, content))


def test_dragging_selects_a_part_that_repeats_and_can_be_zoomed(page: Page) -> None:
    choose_file(page, street_scene())
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    stage = page.get_by_role("slider", name="Position in the recording")
    drag(page, 0.25, 0.5)
    expect(page.locator("#selection-text")).to_have_text("0:02.5 to 0:05.0, repeated")
    expect(stage).to_have_attribute("aria-valuenow", "2.5")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#time-ticks span").first).to_have_text("2.5 s")
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    # Half way of what is shown: 3.75 s.
    size = stage.bounding_box()
    stage.click(position={"x": 0.5 * size["width"], "y": 20})
    expect(page.locator("#clock")).to_have_text("0:03.8 / 0:10.0")
    # Played from shortly before the end, it begins again at the start.
    stage.click(position={"x": 0.99 * size["width"], "y": 20})
    expect(stage).to_have_attribute("aria-valuenow", "5.0")
    page.get_by_role("button", name="Play").click()
    expect(stage).to_have_attribute("aria-valuenow", re.compile(r"^[23]\."))
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Whole recording").click()
    expect(page.locator("#time-ticks span").first).to_have_text("0 s")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#selection-bar")).to_be_hidden()


def drag(page: Page, start: float, end: float) -> None:
    """Drag over the recording, from and to fractions of its width."""
    size = page.locator("#stage").bounding_box()
    y = size["y"] + 20
    page.mouse.move(size["x"] + start * size["width"], y)
    page.mouse.down()
    page.mouse.move(size["x"] + end * size["width"], y, steps=3)
    page.mouse.up()


def test_a_part_is_selected_by_keyboard(page: Page) -> None:
    choose_file(page, street_scene())
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    stage = page.get_by_role("slider", name="Position in the recording")
    stage.press("PageUp")
    stage.press("Shift+PageUp")
    expect(page.locator("#selection-text")).to_have_text("0:02.5 to 0:05.0, repeated")
    stage.press("Shift+ArrowLeft")
    expect(page.locator("#selection-text")).to_have_text("0:02.5 to 0:04.8, repeated")
    stage.press("Escape")
    expect(page.locator("#selection-bar")).to_be_hidden()


def test_why_shows_the_evidence_of_the_service(page: Page, server: ServerClient) -> None:
    content = street_scene(3)
    label = classify(server, content)["label"]
    query = {"label": label, "format": "json", "checkpoint": "hann"}
    found = server.post("/explain/urban-sound", params=query, files={"file": content}).json()
    choose_file(page, content)
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    page.get_by_role("button", name=f"Why {format_label(label)}?").click()
    text = (
        f"What stands out speaks for {format_label(label)}, {format_percent(found['probability'])}"
    )
    expect(page.locator("#evidence-text")).to_contain_text(text)
    evidence = np.array(found["map"])
    columns = np.array(found["times"]) < 3
    heard = evidence[:, columns]
    strongest = np.unravel_index(heard.argmax(), heard.shape)
    weakest = np.unravel_index(heard.argmin(), heard.shape)
    # The veil is lifted where the evidence is.
    lifted, lowered = veils(page, found, [strongest, weakest])
    assert lifted < 60
    assert lowered > 100
    page.get_by_role("button", name="Hide").click()
    expect(page.locator("#evidence")).to_be_hidden()


def veils(page: Page, found: dict, places: list[tuple[int, int]]) -> list[int]:
    """Return the least opacity around places of the map: lines may pass through them."""
    top = hz_to_mel(np.array(11_025.0))
    fractions = [
        [
            found["times"][column] / 3,
            1 - float(hz_to_mel(np.array(found["frequencies"][row])) / top),
        ]
        for row, column in places
    ]
    return page.locator("#evidence").evaluate(
        """(canvas, fractions) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            return fractions.map(([x, y]) => {
                const [left, top] = [x * (width - 9), y * (height - 9)].map(Math.round);
                let least = 255;
                for (let i = 0; i < 81; i++) {
                    const pixel = (top + Math.floor(i / 9)) * width + left + i % 9;
                    least = Math.min(least, data[4 * pixel + 3]);
                }
                return least;
            });
        }""",
        fractions,
    )


def test_several_files_have_a_row_each(page: Page, server: ServerClient) -> None:
    long, short = street_scene(), encode(make("siren", 1))
    contents = {"long.wav": long, "notes.wav": b"These are notes.\n" * 9, "short, again.wav": short}
    page.get_by_label("Choose files").set_input_files(
        [
            {"name": name, "mimeType": "audio/wav", "buffer": content}
            for name, content in contents.items()
        ]
    )
    batch = page.get_by_role("region", name="3 files")
    expect(batch).to_contain_text("3 of 3 classified, 1 refused")
    rows = batch.locator("tbody tr")
    problem = server.post("/classify/urban-sound", files={"file": contents["notes.wav"]}).json()
    results = [classify(server, long), classify(server, short)]
    expect(rows.nth(0).locator("td").first).to_have_text(headline(results[0]))
    expect(rows.nth(1)).to_contain_text(f"{problem['title']}: {problem['detail']}")
    expect(rows.nth(2).locator("td").first).to_have_text(headline(results[1]))
    expect(rows.nth(0).locator(".block")).to_have_count(len(results[0]["segments"]))
    table = list(csv.DictReader(io.StringIO(download(page, batch, "CSV"))))
    assert [row["file"] for row in table] == list(contents)
    assert [row["label"] for row in table] == [results[0]["label"], "", results[1]["label"]]
    assert table[1]["error"] == problem["detail"]
    answers = json.loads(download(page, batch, "JSON"))
    assert answers[0] == {"file": "long.wav", **results[0]}
    # One of them can be looked at, and the others stay.
    batch.get_by_role("button", name="Show short, again.wav").click()
    expect_result(page, results[1])
    expect(batch).to_be_visible()
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(rows.nth(2).locator("td").first).to_have_text(
        headline(classify(server, short, "emotion"))
    )
    choose_file(page, short)
    expect(batch).to_be_hidden()


def download(page: Page, place: Any, name: str) -> str:
    """Return the text that a button saves."""
    with page.expect_download() as found:
        place.get_by_role("button", name=name, exact=True).click()
    return found.value.path().read_text()


def test_the_timeline_is_saved(page: Page, server: ServerClient) -> None:
    content = encode(np.concatenate([make("drilling", 1, 8), np.zeros(12 * RATE, np.float32)]))
    result = classify(server, content)
    choose_file(page, content, "site.wav")
    place = page.locator("#downloads")
    assert json.loads(download(page, place, "JSON")) == result
    rows = list(csv.DictReader(io.StringIO(download(page, place, "CSV"))))
    assert [(float(row["start"]), float(row["end"]), row["label"] or None) for row in rows] == [
        (each["start"], each["end"], each["label"]) for each in result["segments"]
    ]
    assert rows[-1]["reason"] == "silent"
    # Audacity's label track has the sounds alone.
    track = [line.split("\t") for line in download(page, place, "Audacity").splitlines()]
    assert [(float(start), float(end), label) for start, end, label in track] == [
        (each["start"], each["end"], each["label"])
        for each in result["segments"]
        if each["label"] is not None
    ]


def test_the_copied_command_gives_the_same_answer(
    page: Page, server: ServerClient, tmp_path: Path
) -> None:
    content = street_scene()
    name = 'it\'s a "street", at 5;00.wav'
    (tmp_path / name).write_bytes(content)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_file(page, content, name)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout) == classify(server, content)


def test_the_live_microphone_has_a_timeline(
    page: Page, server: ServerClient, microphone: Path
) -> None:
    label = format_label(classify(server, microphone.read_bytes())["label"])
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Listen live").click()
    live = page.get_by_role("region", name="Live")
    expect(live.locator("#live-clock")).to_have_text(re.compile(r"^0:0[4-9]"))
    expect(live.locator("#live-heard")).to_have_text(re.compile(f"^{label} \\d"))
    expect(live.locator(".block").last).to_have_text(label)
    expect(live.get_by_role("meter", name="Level")).to_have_attribute(
        "aria-valuenow", re.compile(r"^-(\d|1\d)$")
    )
    # Another task begins anew.
    page.get_by_label("Emotion in a voice").check(force=True)
    emotions = live.locator(".bars li .name")
    expect(emotions.first).to_have_text(re.compile("neutral|happy|sad|angry|fear|disgust|surpris"))
    page.get_by_role("button", name="Stop", exact=True).click()
    heard = page.get_by_role("region", name="What was heard live")
    rows = list(csv.DictReader(io.StringIO(download(page, heard, "CSV"))))
    assert float(rows[0]["start"]) == 0
    assert rows[0]["label"]
    heard.get_by_role("button", name="Open as a recording").click()
    expect(page.locator("#recording-name")).to_have_text("Live recording")
    expect(page.locator(".headline")).to_be_visible()


def test_live_sound_that_the_service_refuses_is_explained(
    browser: Browser, siren_store: Path
) -> None:
    with (
        serve(models_dir=siren_store, max_live_streams=1) as server,
        open_page(browser, server) as page,
        open_page(browser, server) as other,
    ):
        for each in (page, other):
            each.goto("/")
            each.context.grant_permissions(["microphone"])
            each.get_by_role("button", name="Listen live").click()
            expect(each.locator("#live-stop, .problem").first).to_be_visible()
        expect(page.locator("#live-heard")).to_contain_text("siren")
        query = {"sample_rate": "48000"}
        problem = server.get("/stream/urban-sound", params=query).json()
        assert problem["status"] == 503
        for words in (problem["title"], problem["detail"][1:]):
            expect(other.get_by_role("alert")).to_contain_text(words)
        expect(other.get_by_role("region", name="heard live")).to_be_hidden()
        expect(other.get_by_role("button", name="Listen live")).to_be_enabled()


def test_silence_has_no_label(page: Page) -> None:
    choose_file(page, encode(np.zeros(10 * RATE, np.float32)))
    expect(page.locator(".headline")).to_have_text("nothing recognised")
    reason = "there is nothing to hear"
    expect(page.locator(".reason")).to_have_text(reason)
    expect(page.get_by_role("status")).to_have_text(f"nothing recognised, {reason}.")
    expect(page.locator(".block")).to_have_text(["nothing recognised"])


def test_silence_after_a_sound_is_in_the_timeline(page: Page, server: ServerClient) -> None:
    content = encode(np.concatenate([make("drilling", 1, 8), np.zeros(12 * RATE, np.float32)]))
    result = classify(server, content)
    *before, silence = [segment["label"] for segment in result["segments"]]
    assert silence is None
    choose_file(page, content)
    expect(page.locator(".block")).to_have_text([*map(format_label, before), "nothing recognised"])
    legend = page.get_by_label("Labels along the recording").get_by_role("listitem")
    names = [*dict.fromkeys(map(format_label, before)), "nothing recognised"]
    expect(legend).to_have_text(names)
    fractions = result["label_fractions"]
    rest = format_percent(1 - sum(fractions.values()))
    last_bar = page.locator(".bars").first.locator("li").last
    expect(last_bar).to_have_text(f"nothing recognised{rest}")
    page.get_by_text("The timeline as a table").click()
    last = page.locator("tbody tr").last.locator("td:nth-child(n+4)")
    expect(last).to_have_text(["nothing recognised: there is nothing to hear", ""])


def test_everything_works_by_keyboard(page: Page) -> None:
    def tab_to(selector: str, key: str = "Tab") -> None:
        target = page.locator(selector)
        for _ in range(30):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press(key)
        pytest.fail(f"{key} does not reach {selector}")

    # Without a listener from the start, the first dialog may open before it is caught.
    page.on("filechooser", lambda _: None)
    tab_to("#file")
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    tab_to("#examples button:nth-child(9)")
    page.keyboard.press("Enter")
    expect(page.locator("#recording-name")).to_have_text("Street scene")
    tab_to("input[name=task]:checked", "Shift+Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Emotion in a voice")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".headline")).to_be_visible()
    tab_to("#stage")
    stage = page.get_by_role("slider")
    for key, seconds in (("End", 24), ("ArrowLeft", 23), ("PageDown", 13), ("Home", 0)):
        page.keyboard.press(key)
        expect(stage).to_have_attribute("aria-valuenow", f"{seconds:.1f}")
    page.keyboard.press("ArrowRight")
    label = page.locator(".block").first.text_content()
    expect(stage).to_have_attribute("aria-valuetext", f"1.0 of 24.0 seconds, {label}")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(stage).not_to_have_attribute("aria-valuenow", "1.0")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_file_that_the_browser_cannot_play_is_classified(
    page: Page, server: ServerClient
) -> None:
    content = encode(make("siren", 1), container="AIFF")
    choose_file(page, content, "siren.aiff")
    expect_result(page, classify(server, content))
    expect(page.get_by_text("This browser cannot play this recording")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_disabled()
    # The service draws it: a siren is a line between 500 and 1300 Hz, and nothing above 4 kHz.
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    expect(page.locator("#time-ticks span").first).to_have_text("0 s")
    darkest = darkest_frequencies(page)
    assert ((darkest > 400) & (darkest < 1500)).all()


def darkest_frequencies(page: Page) -> np.ndarray:
    """Return the frequency of the loudest point of each column of the spectrogram, Hz."""
    rows = page.locator("#spectrogram").evaluate(
        """canvas => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            return Array.from({ length: width }, (_, x) => {
                let darkest = 0;
                for (let y = 0; y < height; y++) {
                    if (data[4 * (y * width + x)] < data[4 * (darkest * width + x)]) darkest = y;
                }
                return 1 - (darkest + 0.5) / height;
            });
        }"""
    )
    return mel_to_hz(hz_to_mel(11_025.0) * np.array(rows))


def test_the_microphone_is_recorded(page: Page) -> None:
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#record")).to_have_text(re.compile(r"Stop \d:(0[2-9]|[1-5]\d)"))
    page.locator("#record").click()
    expect(page.locator("#recording-name")).to_have_text("Your recording")
    expect(page.locator(".headline")).to_be_visible()
    expect(page.locator("#recording-info")).to_contain_text("webm")
    page.get_by_role("slider").press("End")
    page.get_by_role("slider").press("Home")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("slider")).not_to_have_attribute("aria-valuenow", "0.0")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "may not use the microphone"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "in use by another program"),
    ],
)
def test_a_missing_microphone_is_explained(page: Page, error: str, words: str) -> None:
    page.evaluate(
        """name => {
            navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", name); };
        }""",
        error,
    )
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name="Record")).to_be_enabled()


def test_the_gallery_shows_and_plays_each_genre(page: Page) -> None:
    gallery = page.get_by_role("region", name="What music looks like")
    for genre in ("classical", "hip-hop", "jazz", "rock"):
        picture = gallery.get_by_role("img", name=f", {genre}, hann window")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_attribute("data-drawn", "true")
    gallery.get_by_role("combobox", name="Window").select_option("rectangular")
    gallery.get_by_label("jazz: recording").select_option("lamplight vibes")
    picture = gallery.get_by_role("img", name="lamplight vibes, jazz, rectangular window")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_attribute("data-drawn", "true")
    gallery.get_by_role("button", name="Listen to jazz").click()
    expect(page.locator("#recording-name")).to_have_text("lamplight vibes (jazz)")
    expect(page.locator(".headline")).to_be_visible()
    expect(page.locator("#clock")).to_be_in_viewport()


def test_the_spectrogram_is_that_of_the_service(page: Page) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(1024)
    for window in WINDOWS:
        power = page.evaluate(
            """async ([signal, name]) => {
                const { Fft, analysisWindow } = await import("/web/fft.js");
                const window = analysisWindow(name, signal.length);
                const power = new Float32Array(signal.length / 2 + 1);
                const windowed = signal.map((value, i) => value * window[i]);
                new Fft(signal.length).computePower(windowed, power);
                return [...power];
            }""",
            [signal.tolist(), window],
        )
        expected = analysis_window(window, 1024) / analysis_window(window, 1024).sum()
        np.testing.assert_allclose(
            power, np.abs(np.fft.rfft(signal * expected)) ** 2, rtol=1e-3, atol=1e-8
        )


def test_the_mel_scale_is_that_of_the_service(page: Page) -> None:
    hertz = [0.0, 440.0, 999.0, 1000.0, 1001.0, 11_025.0]
    mels, back = page.evaluate(
        """async hertz => {
            const { hzToMel, melToHz } = await import("/web/spectrogram.js");
            const mels = hertz.map(hzToMel);
            return [mels, mels.map(melToHz)];
        }""",
        hertz,
    )
    np.testing.assert_allclose(mels, hz_to_mel(np.array(hertz)), rtol=1e-9)
    np.testing.assert_allclose(back, mel_to_hz(np.array(mels)), rtol=1e-9)


def test_the_page_names_the_formats_of_the_service(page: Page) -> None:
    accept = page.get_by_label("Choose files").get_attribute("accept")
    assert set(AUDIO_SUFFIXES) == {part.strip() for part in accept.split(",")} - WILDCARDS
    note = page.locator("#formats").text_content()
    for name in re.sub(r" \(.*?\)", "", ACCEPTED_FORMATS.replace(" and ", ", ")).split(", "):
        assert re.search(rf"\b{name}\b", note), name


def test_the_gallery_has_the_pixels_of_the_screen_and_axes_of_text(
    browser: Browser, server: ServerClient
) -> None:
    with open_page(browser, server, device_scale_factor=2, color_scheme="dark") as page:
        page.goto("/")
        picture = page.get_by_role("img", name=", jazz, hann window")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_attribute("data-drawn", "true")
        width = picture.evaluate("canvas => canvas.clientWidth")
        assert picture.evaluate("canvas => canvas.width") == 2 * width
        figure = page.locator("figure", has=picture)
        expect(figure.locator(".ticks span")).to_have_text(["0 s", "5 s", "10 s"])
        expect(figure.locator(".frequencies span").last).to_have_text("8 kHz")
        mean = """canvas => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            return data.reduce((sum, value) => sum + value, 0) / data.length;
        }"""
        dark = picture.evaluate(mean)
        page.emulate_media(color_scheme="light")
        # The page is told of the other scheme in its own time, and then draws again.
        is_lighter = f"([canvas, dark]) => ({mean})(canvas) > dark + 20"
        wait_until(page, is_lighter, [picture.element_handle(), dark])


def test_a_gallery_that_the_browser_cannot_decode_is_drawn_by_the_service(page: Page) -> None:
    page.add_init_script("OfflineAudioContext.prototype.decodeAudioData = () => Promise.reject()")
    picture = page.get_by_role("img", name=", rock, hann window")
    with page.expect_response(re.compile("/spectrogram.*genre=rock")) as response:
        page.reload()
        picture.scroll_into_view_if_needed()
    assert response.value.status == 200
    expect(picture).to_have_attribute("data-drawn", "true")


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    ground = page.locator("html")
    light, dark = "rgb(246, 245, 241)", "rgb(16, 18, 20)"
    page.emulate_media(color_scheme="dark")
    expect(ground).to_have_css("background-color", dark)
    page.get_by_role("button", name="Theme: system").click()
    expect(ground).to_have_css("background-color", light)
    page.reload()
    expect(ground).to_have_css("background-color", light)
    page.get_by_role("button", name="Theme: light").click()
    expect(ground).to_have_css("background-color", dark)
    page.get_by_role("button", name="Theme: dark").click()
    page.emulate_media(color_scheme="light")
    expect(ground).to_have_css("background-color", light)
    page.reload()
    expect(page.get_by_role("button", name="Theme: system")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_in_any_state(
    browser: Browser, server: ServerClient, scheme: str
) -> None:
    def require_none(state: str) -> None:
        results = axe.Axe().run(page)
        assert results.violations_count == 0, f"{state}: {results.generate_report()}"

    with open_page(browser, server, color_scheme=scheme, reduced_motion="reduce") as page:
        page.context.grant_permissions(["microphone"])
        page.goto("/")
        expect(page.get_by_role("button", name="Street music")).to_be_visible()
        page.get_by_text("Advanced: windows").click()
        require_none("empty")
        page.route("**/classify/**", lambda _: None)
        choose_file(page, street_scene())
        expect(page.locator("article")).to_contain_text("Listening…")
        require_none("loading")
        page.unroute("**/classify/**")
        choose_file(page, street_scene())
        expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
        drag(page, 0.25, 0.5)
        page.locator(".why").first.click()
        expect(page.locator("#evidence-bar")).to_be_visible()
        page.get_by_text("The timeline as a table").click()
        require_none("answer")
        page.get_by_label("Compare windows").check()
        expect(page.locator(".headline")).to_have_count(2)
        require_none("compared")
        page.get_by_label("Compare windows").uncheck()
        choose_file(page, encode(np.zeros(10 * RATE, np.float32)))
        expect(page.locator(".headline")).to_have_text("nothing recognised")
        require_none("unknown")
        choose_file(page, b"These are notes.\n" * 9, "notes.wav")
        expect(page.locator(".problem")).to_be_visible()
        require_none("error")
        files = [("long.wav", street_scene()), ("notes.wav", b"notes" * 99)]
        page.get_by_label("Choose files").set_input_files(
            [{"name": name, "mimeType": "audio/wav", "buffer": each} for name, each in files]
        )
        expect(page.locator("#batch-progress")).to_contain_text("2 of 2")
        require_none("batch")
        page.get_by_role("button", name="Listen live").click()
        expect(page.locator("#live .block").first).to_be_visible()
        require_none("live")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#live-downloads button").first).to_be_visible()
        require_none("live, stopped")


def test_a_key_is_requested_sent_and_kept_for_the_tab(browser: Browser, tmp_path: Path) -> None:
    save_constant(tmp_path / "store", "siren")
    token, key = make_key("page", "use")
    (tmp_path / "keys").write_text(key.line)
    with (
        serve(models_dir=tmp_path / "store", api_keys_file=tmp_path / "keys") as server,
        open_page(browser, server) as page,
    ):
        page.goto("/")
        dialog = page.get_by_role("dialog", name="This server wants an API key")
        dialog.get_by_label("Key").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("The server does not know this key.")
        dialog.get_by_label("Key").fill(token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Street music")).to_be_visible()
        expect(dialog).to_be_hidden()
        picture = page.get_by_role("img", name=", jazz, hann window")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_attribute("data-drawn", "true")
        choose_file(page, street_scene(2))
        expect(page.locator(".headline")).to_have_text(re.compile("^siren"))
        page.reload()
        expect(page.get_by_role("button", name="Street music")).to_be_visible()
        page.evaluate("sessionStorage.clear()")
        page.reload()
        dialog.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert").first).to_contain_text("A key is needed")


def test_the_documentation_needs_no_other_host(browser: Browser, server: ServerClient) -> None:
    with open_page(browser, server) as page:
        page.goto("/docs")
        expect(page.get_by_role("heading", name="Earshot")).to_be_visible()
        expect(page.get_by_text("/classify/{task}", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_nothing_overflows_or_wraps_at_phone_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    choose_file(page, street_scene(), "a_recording_with_a_very_long_name_" * 3 + ".wav")
    page.get_by_text("Advanced: windows").click()
    page.get_by_label("Compare windows").check()
    expect(page.locator(".headline")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.locator("#time-ticks span").nth(1)).to_be_visible()
    heights = page.locator("#time-ticks span").evaluate_all(
        "ticks => ticks.map(t => t.offsetHeight)"
    )
    assert len(heights) >= 2
    assert set(heights) == {min(heights)}
    assert min(heights) < 20


def test_files_have_types_policies_and_etags(server: ServerClient) -> None:
    for path, media_type in (
        ("/", "text/html; charset=utf-8"),
        ("/web/main.js", "text/javascript; charset=utf-8"),
        ("/web/style.css", "text/css; charset=utf-8"),
        ("/web/icon.svg", "image/svg+xml"),
    ):
        response = server.get(path)
        assert response.status_code == server.head(path).status_code == 200
        headers = response.headers
        assert headers["content-type"] == media_type
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "microphone=(self)" in headers["permissions-policy"]
        assert headers["cache-control"] == "no-cache"
        again = server.get(path, headers={"If-None-Match": headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for path in ("/web/nothing.js", "/web/..%2Fmain.py", "/web/"):
        response = server.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
