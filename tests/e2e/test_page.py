"""The page at `/`, in a real browser, against a real server."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

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

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page, expect = playwright.Browser, playwright.Page, playwright.expect

SHIPPED = Path(__file__).parents[2] / "models_store"
TIMEOUT_MS = 60_000
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=path, args=["--use-fake-device-for-media-stream"]
        )
        expect.set_options(timeout=TIMEOUT_MS)
        yield chromium
        chromium.close()


@contextmanager
def open_page(browser: Browser, server: ServerClient) -> Iterator[Page]:
    """Open a page, which may send requests to the server alone, and log no error."""
    context = browser.new_context(base_url=str(server.base_url))
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    foreign_requests, errors = [], []
    own = urlsplit(str(server.base_url)).netloc

    def on_request(request: playwright.Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and address.netloc != own:
            foreign_requests.append(request.url)

    def on_response(response: playwright.Response) -> None:
        # The page shows the problems of /classify, and asks for a key; nothing else may fail.
        if response.status >= 400 and response.status != 401 and "/classify/" not in response.url:
            errors.append(f"{response.status} {response.url}")

    def on_console(message: playwright.ConsoleMessage) -> None:
        is_response = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not is_response:
            errors.append(message.text)

    context.on("request", on_request)
    context.on("response", on_response)
    page.on("console", on_console)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert foreign_requests == []
    assert errors == []


@pytest.fixture
def page(browser: Browser, server: ServerClient) -> Iterator[Page]:
    """Open the page and wait until it has loaded."""
    with open_page(browser, server) as page:
        page.goto("/")
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        yield page


def street_scene(seconds: float = 10.0) -> bytes:
    """Return a recording of a siren, then drilling."""
    half = seconds / 2
    return encode(np.concatenate([make("siren", 1, half), make("drilling", 1, half)]))


def choose_file(page: Page, content: bytes, name: str = "street.wav") -> None:
    file = {"name": name, "mimeType": "audio/wav", "buffer": content}
    page.get_by_label("Choose a file").set_input_files(file)


def format_label(label: str) -> str:
    return label.replace("_", " ")


def format_percent(probability: float) -> str:
    return f"{100 * probability:.{1 if probability < 0.1 else 0}f} %"


def expect_result(page: Page, result: dict) -> None:
    card = page.locator(f"article[data-checkpoint={result['checkpoint']['name']}]")
    headline = f"{format_label(result['label'])} {format_percent(result['probability'])}"
    expect(card.locator(".headline")).to_have_text(headline)
    bars = [
        format_label(ranked["label"]) + format_percent(ranked["probability"])
        for ranked in result["ranked"]
    ]
    expect(card.locator(".bars li")).to_have_text(bars)
    if "segments" in result:
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
    summary = f"{format_label(result['label'])}, {format_percent(result['probability'])}."
    expect(page.get_by_role("status")).to_have_text(summary)
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
    expect(page.locator("article, .problem").first).to_contain_text(problem["detail"][1:])


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
    expect(page.get_by_label("Rectangular", exact=True)).to_be_disabled()
    models = server.get("/models").json()["models"]
    (error,) = (model["error"] for model in models if model["status"] == "failed")
    expect(page.get_by_text(f"Rectangular not loaded: {error}.")).to_be_visible()
    hann, hamming = (classify(server, content, checkpoint=name) for name in ("hann", "hamming"))
    del hann["segments"], hamming["segments"]
    plot = page.locator("#spectrogram[data-drawn=true]")
    hann_image = plot.evaluate("canvas => canvas.toDataURL()")
    page.get_by_label("Hamming", exact=True).check(force=True)
    expect_result(page, hamming)
    assert plot.evaluate("canvas => canvas.toDataURL()") != hann_image
    page.get_by_label("Compare windows").check()
    expect(page.locator("article")).to_have_count(2)
    expect_result(page, hann)
    expect_result(page, hamming)
    expect(page.locator(".row-name")).to_have_text(["Hann", "Hamming"])
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(page.get_by_label("Compare windows")).to_be_disabled()
    expect(page.locator("article h3")).to_have_text(["Hann window, whole recording"])


def test_a_task_that_the_page_does_not_know_by_name(page: Page, server: ServerClient) -> None:
    content = street_scene()
    choose_file(page, content)
    expect(page.locator(".headline")).to_be_visible()
    task = page.get_by_role("group", name="Listen for").get_by_role("radio")
    expect(task).to_have_count(3)
    page.get_by_label("Machine faults").check(force=True)
    expect(page.get_by_text("Labels: bearing worn, belt slipping, fault 0")).to_be_visible()
    names = page.get_by_role("group", name="Checkpoint").get_by_role("radio")
    expect(names).to_have_count(1)
    expect(page.get_by_label("Small network")).to_be_checked()
    expect(page.get_by_label("Compare checkpoints")).to_be_disabled()
    result = classify(server, content, "machine-faults")
    assert result["label"] in FAULTS
    expect(page.locator("article h3")).to_have_text("Small network, whole recording")
    expect_result(page, result)
    expect(page.locator("article .note")).to_have_text(
        f"Version {result['checkpoint']['version']}."
    )


def test_the_models_are_requested_again_where_that_failed(page: Page, server: ServerClient) -> None:
    page.route("**/models", lambda route: route.abort())
    page.reload()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("The server cannot be reached")
    page.unroute("**/models")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
    expect(alert).to_be_empty()
    content = street_scene(2)
    choose_file(page, content)
    expect_result(page, classify(server, content))


def test_a_problem_is_shown_and_replaces_nothing(page: Page, server: ServerClient) -> None:
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
    expect(page.locator("#recording-name")).to_have_text("street.wav")
    expect_result(page, result)
    choose_file(page, content)
    expect(alert).to_be_empty()


def test_a_lost_server_is_shown_and_requested_again(page: Page, server: ServerClient) -> None:
    page.route("**/classify/**", lambda route: route.abort())
    content = street_scene(2)
    choose_file(page, content)
    expect(page.locator("article")).to_contain_text("The server cannot be reached")
    page.unroute("**/classify/**")
    page.get_by_role("button", name="Try again").click()
    expect_result(page, classify(server, content))


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
    fractions = [
        f"{format_label(x)}, {format_percent(result['label_fractions'][x])} of the time"
        for x in before
    ]
    expect(legend).to_have_text([*dict.fromkeys(fractions), "nothing recognised"])
    page.get_by_text("The timeline as a table").click()
    last = page.locator("tbody tr").last.locator("td:nth-child(n+4)")
    expect(last).to_have_text(["nothing recognised: there is nothing to hear", ""])


def test_everything_works_by_keyboard(page: Page) -> None:
    def tab_to(selector: str) -> None:
        target = page.locator(selector)
        for _ in range(30):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"Tab does not reach {selector}")

    # Without a listener from the start, the first dialog may open before it is caught.
    page.on("filechooser", lambda _: None)
    tab_to("#file")
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    tab_to("#examples button:nth-child(4)")
    page.keyboard.press("Enter")
    expect(page.locator("#recording-name")).to_have_text("Street scene (synthesised)")
    tab_to("input[name=task]:checked")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Emotion in a voice")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".headline")).to_be_visible()
    tab_to("#stage")
    stage = page.get_by_role("slider")
    for key, seconds in (("End", 18), ("ArrowLeft", 17.8), ("PageDown", 15.3), ("Home", 0)):
        page.keyboard.press(key)
        expect(stage).to_have_attribute("aria-valuenow", f"{seconds:.1f}")
    page.keyboard.press("ArrowRight")
    label = page.locator(".block").first.text_content()
    expect(stage).to_have_attribute("aria-valuetext", f"0.3 of 18.0 seconds, {label}")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(stage).not_to_have_attribute("aria-valuenow", "0.3")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_file_that_the_browser_cannot_play_is_classified(
    page: Page, server: ServerClient
) -> None:
    content = encode(make("siren", 1), container="AIFF")
    choose_file(page, content, "siren.aiff")
    expect_result(page, classify(server, content))
    expect(page.get_by_text("This browser cannot draw or play this recording")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_disabled()


def test_the_microphone_is_recorded(page: Page) -> None:
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Record").click()
    # The fake microphone beeps once a second.
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
        expect(picture).to_have_js_property("naturalWidth", 480)
    gallery.get_by_label("Window").select_option("rectangular")
    gallery.get_by_label("jazz: recording").select_option("lamplight vibes")
    picture = gallery.get_by_role("img", name="lamplight vibes, jazz, rectangular window")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
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
    accept = page.get_by_label("Choose a file").get_attribute("accept")
    assert set(AUDIO_SUFFIXES) == {part.strip() for part in accept.split(",")} - WILDCARDS
    note = page.locator("#formats").text_content()
    for name in re.sub(r" \(.*?\)", "", ACCEPTED_FORMATS.replace(" and ", ", ")).split(", "):
        assert re.search(rf"\b{name}\b", note), name


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    toggle = page.get_by_role("button", name="Dark", pressed=True)
    toggle.click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    expect(page.get_by_role("button", name="Dark", pressed=False)).to_be_visible()
    assert page.evaluate(ground) == light


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
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        expect(dialog).to_be_hidden()
        picture = page.get_by_role("img", name=", jazz, hann window")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 480)
        choose_file(page, street_scene(2))
        expect(page.locator(".headline")).to_have_text(re.compile("^siren"))
        page.reload()
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        page.evaluate("sessionStorage.clear()")
        page.reload()
        dialog.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert").first).to_contain_text("A key is needed")


def test_the_documentation_needs_no_other_host(browser: Browser, server: ServerClient) -> None:
    with open_page(browser, server) as page:
        page.goto("/docs")
        expect(page.get_by_role("heading", name="Earshot")).to_be_visible()
        expect(page.get_by_text("/classify/{task}", exact=True)).to_be_visible()


def test_nothing_overflows_at_phone_width(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    choose_file(page, street_scene(), "a_recording_with_a_very_long_name_" * 3 + ".wav")
    page.get_by_label("Compare windows").check()
    expect(page.locator(".headline")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


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
