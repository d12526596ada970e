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
from app.audio.stft import WINDOWS, analysis_window
from app.checkpoints import store
from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant
from tests.support.sounds import RATE, encode, make

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page, expect = playwright.Browser, playwright.Page, playwright.expect

SHIPPED = Path(__file__).parents[2] / "models_store"
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerClient]:
    """Both tasks, and for urban-sound two windows: hann's network serves hamming too.

    They name all that can be heard: to a shipped checkpoint, sounds made by arithmetic may well
    be unfamiliar.
    """
    root = tmp_path_factory.mktemp("store")
    for task, window in (("emotion", "hann"), ("urban-sound", "hann"), ("urban-sound", "hamming")):
        shipped = store.load(SHIPPED, task, "hann")
        config = shipped.card.input.model_copy(update={"window": window})
        familiarity = shipped.card.ood
        assert familiarity is not None
        names_all = familiarity.model_copy(update={"threshold": None})
        card = shipped.card.model_copy(update={"input": config, "familiarity": names_all})
        store.save(root, card, {name: shipped.folder / name for name in card.files})
    with serve(models_dir=root) as client:
        yield client


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
        expect.set_options(timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@contextmanager
def watched(browser: Browser, server: ServerClient) -> Iterator[Page]:
    """A new page, which must ask nobody but the server, and complain of nothing."""
    context = browser.new_context(base_url=str(server.base_url))
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    strangers, complaints = [], []
    own = urlsplit(str(server.base_url)).netloc

    def asked(request: playwright.Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and address.netloc != own:
            strangers.append(request.url)

    def answered(response: playwright.Response) -> None:
        # What /classify refuses is shown, and a key is asked for; nothing else may fail.
        if response.status >= 400 and response.status != 401 and "/classify/" not in response.url:
            complaints.append(f"{response.status} {response.url}")

    def said(message: playwright.ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not refused:
            complaints.append(message.text)

    context.on("request", asked)
    context.on("response", answered)
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert strangers == []
    assert complaints == []


@pytest.fixture
def page(browser: Browser, server: ServerClient) -> Iterator[Page]:
    """The page, loaded."""
    with watched(browser, server) as page:
        page.goto("/")
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        yield page


def street(seconds: float = 10.0) -> bytes:
    """A siren, then drilling."""
    half = seconds / 2
    return encode(np.concatenate([make("siren", 1, half), make("drilling", 1, half)]))


def choose(page: Page, content: bytes, name: str = "street.wav") -> None:
    file = {"name": name, "mimeType": "audio/wav", "buffer": content}
    page.get_by_label("Choose a file").set_input_files(file)


def shown(label: str) -> str:
    return label.replace("_", " ")


def percent(probability: float) -> str:
    return f"{100 * probability:.{1 if probability < 0.1 else 0}f} %"


def expect_answer(page: Page, answer: dict) -> None:
    card = page.locator(f"article[data-window={answer['checkpoint']['window']}]")
    headline = f"{shown(answer['label'])} {percent(answer['probability'])}"
    expect(card.locator(".headline")).to_have_text(headline)
    bars = [shown(ranked["label"]) + percent(ranked["probability"]) for ranked in answer["ranked"]]
    expect(card.locator(".bars li")).to_have_text(bars)
    if "segments" in answer:
        cells = [
            text
            for segment in answer["segments"]
            for text in (shown(segment["label"]), percent(segment["probability"]))
        ]
        page.get_by_text("The timeline as a table").click()
        expect(page.locator("tbody td:nth-child(n+4)")).to_have_text(cells)


def ask(server: ServerClient, content: bytes, task: str = "urban-sound", **query: str) -> dict:
    query["top_k"] = "5"
    return server.post(f"/classify/{task}", params=query, files={"file": content}).json()


def test_a_chosen_file_is_drawn_and_answered_as_the_api_answers(
    page: Page, server: ServerClient
) -> None:
    content = street()
    choose(page, content)
    expect(page.locator("#spectrum[data-drawn=true]")).to_be_visible()
    expect(page.locator("#sound-name")).to_have_text("street.wav")
    answer = ask(server, content)
    expect_answer(page, answer)
    spoken = f"{shown(answer['label'])}, {percent(answer['probability'])}."
    expect(page.get_by_role("status")).to_have_text(spoken)
    # Blocks tell neighbours apart: they follow one another, from end to end.
    places = page.locator(".block").evaluate_all(
        "blocks => blocks.map(b => [parseFloat(b.style.left), parseFloat(b.style.width)])"
    )
    ends = [0, *(left + width for left, width in places)]
    assert [left for left, _ in places] == pytest.approx(ends[:-1], abs=0.01)
    assert ends[-1] == pytest.approx(100, abs=0.1)


def test_a_long_file_shows_how_far_it_is(page: Page, server: ServerClient) -> None:
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const bar = document.querySelector("progress:not([hidden])");
                if (bar) window.seen.push([bar.value, document.querySelector(".far").textContent]);
            }).observe(document.querySelector("#answers"),
                { subtree: true, childList: true, attributes: true });
        }"""
    )
    content = street(60)
    choose(page, content)
    expect_answer(page, ask(server, content))
    # Blocks of eight clips of 4 s, two seconds apart; of the last, there is the answer. What
    # came together may be shown together.
    times = [[seconds / 60, f"0:{seconds}.0 of 1:00.0"] for seconds in (18, 34, 50)]
    seen = page.evaluate("window.seen")
    assert seen
    assert seen == sorted(seen)
    assert all(each in times for each in seen)


def test_what_goes_wrong_in_the_middle_is_told(page: Page, server: ServerClient) -> None:
    """A FLAC that is whole at first."""
    content = bytearray(encode(np.tile(make("siren", 7), 48), RATE, "FLAC"))
    content[-5_000:] = bytes(5_000)
    problem = server.post("/classify/urban-sound", files={"file": bytes(content)}).json()
    choose(page, bytes(content), "damaged.flac")
    expect(page.locator("article, .problem").first).to_contain_text(problem["detail"][1:])


def test_a_dropped_file_and_the_other_task(page: Page, server: ServerClient) -> None:
    content = street(2)
    page.evaluate(
        """content => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "dropped.wav"));
            document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        list(content),
    )
    expect_answer(page, ask(server, content))
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(page.get_by_text("Do not use them to judge people")).to_be_visible()
    expect_answer(page, ask(server, content, "emotion"))


def test_clicking_the_timeline_seeks(page: Page) -> None:
    choose(page, street())
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
    content = street()
    choose(page, content)
    expect(page.get_by_label("Rectangular", exact=True)).to_be_disabled()
    expect(page.get_by_text("Not on this server: Rectangular.")).to_be_visible()
    hann, hamming = (ask(server, content, window=window) for window in ("hann", "hamming"))
    del hann["segments"], hamming["segments"]
    page.get_by_label("Hamming", exact=True).check(force=True)
    expect_answer(page, hamming)
    page.get_by_label("Compare windows").check()
    expect(page.locator("article")).to_have_count(2)
    expect_answer(page, hann)
    expect_answer(page, hamming)
    expect(page.locator(".row-name")).to_have_text(["Hann", "Hamming"])
    page.get_by_label("Emotion in a voice").check(force=True)
    expect(page.get_by_label("Compare windows")).to_be_disabled()
    expect(page.locator("article h3")).to_have_text(["Hann window, whole recording"])


def test_a_problem_is_told_and_nothing_else_lost(page: Page, server: ServerClient) -> None:
    content = street(2)
    choose(page, content)
    answer = ask(server, content)
    expect_answer(page, answer)
    text = b"These are notes, not sound.\n" * 9
    choose(page, text, "notes.wav")
    problem = server.post("/classify/urban-sound", files={"file": text}).json()
    alert = page.get_by_role("alert")
    for words in ("notes.wav", problem["title"], problem["detail"]):
        expect(alert).to_contain_text(words)
    expect(page.locator("#sound-name")).to_have_text("street.wav")
    expect_answer(page, answer)
    choose(page, content)
    expect(alert).to_be_empty()


def test_a_server_that_is_gone_is_told_and_asked_again(page: Page, server: ServerClient) -> None:
    page.route("**/classify/**", lambda route: route.abort())
    content = street(2)
    choose(page, content)
    expect(page.locator("article")).to_contain_text("The server cannot be reached")
    page.unroute("**/classify/**")
    page.get_by_role("button", name="Try again").click()
    expect_answer(page, ask(server, content))


def test_silence_is_nothing_known(page: Page) -> None:
    choose(page, encode(np.zeros(10 * RATE, np.float32)))
    expect(page.locator(".headline")).to_have_text("nothing known")
    reason = "there is nothing to hear"
    expect(page.locator(".reason")).to_have_text(reason)
    expect(page.get_by_role("status")).to_have_text(f"nothing known, {reason}.")
    expect(page.locator(".block")).to_have_text(["nothing known"])


def test_silence_after_a_sound_is_in_the_timeline(page: Page, server: ServerClient) -> None:
    content = encode(np.concatenate([make("drilling", 1, 8), np.zeros(12 * RATE, np.float32)]))
    answer = ask(server, content)
    *before, silence = [segment["label"] for segment in answer["segments"]]
    assert silence is None
    choose(page, content)
    expect(page.locator(".block")).to_have_text([*map(shown, before), "nothing known"])
    legend = page.get_by_label("Labels along the recording").get_by_role("listitem")
    shares = [f"{shown(x)}, {percent(answer['shares'][x])} of the time" for x in before]
    expect(legend).to_have_text([*dict.fromkeys(shares), "nothing known"])
    page.get_by_text("The timeline as a table").click()
    last = page.locator("tbody tr").last.locator("td:nth-child(n+4)")
    expect(last).to_have_text(["nothing known: there is nothing to hear", ""])


def test_by_keyboard_alone(page: Page) -> None:
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
    expect(page.locator("#sound-name")).to_have_text("Street scene (synthesised)")
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


def test_what_the_browser_cannot_play_is_answered(page: Page, server: ServerClient) -> None:
    content = encode(make("siren", 1), container="AIFF")
    choose(page, content, "siren.aiff")
    expect_answer(page, ask(server, content))
    expect(page.get_by_text("This browser cannot draw or play this format")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_disabled()


def test_the_microphone(page: Page) -> None:
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Record").click()
    # The fake microphone beeps once a second.
    expect(page.locator("#record")).to_have_text(re.compile(r"Stop \d:(0[2-9]|[1-5]\d)"))
    page.locator("#record").click()
    expect(page.locator("#sound-name")).to_have_text("Your recording")
    expect(page.locator(".headline")).to_be_visible()
    expect(page.locator("#sound-facts")).to_contain_text("webm")
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
def test_no_microphone(page: Page, error: str, words: str) -> None:
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
    expect(page.locator("#sound-name")).to_have_text("lamplight vibes (jazz)")
    expect(page.locator(".headline")).to_be_visible()
    expect(page.locator("#clock")).to_be_in_viewport()


def test_the_spectrogram_sees_what_the_service_sees(page: Page) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(1024)
    for window in WINDOWS:
        power = page.evaluate(
            """async ([signal, name]) => {
                const { Fft, analysisWindow } = await import("/web/fft.js");
                const window = analysisWindow(name, signal.length);
                const power = new Float32Array(signal.length / 2 + 1);
                new Fft(signal.length).power(signal.map((value, i) => value * window[i]), power);
                return [...power];
            }""",
            [signal.tolist(), window],
        )
        expected = analysis_window(window, 1024) / analysis_window(window, 1024).sum()
        np.testing.assert_allclose(
            power, np.abs(np.fft.rfft(signal * expected)) ** 2, rtol=1e-3, atol=1e-8
        )


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


def test_a_key_is_asked_for_sent_and_kept_for_the_tab(browser: Browser, tmp_path: Path) -> None:
    save_constant(tmp_path / "store", "siren")
    token, key = make_key("page", "use")
    (tmp_path / "keys").write_text(key.line)
    with (
        serve(models_dir=tmp_path / "store", api_keys_file=tmp_path / "keys") as server,
        watched(browser, server) as page,
    ):
        page.goto("/")
        asked = page.get_by_role("dialog", name="This server wants an API key")
        asked.get_by_label("Key").fill("wrong")
        asked.get_by_role("button", name="Continue").click()
        expect(asked).to_contain_text("The server does not know this key.")
        asked.get_by_label("Key").fill(token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        expect(asked).to_be_hidden()
        picture = page.get_by_role("img", name=", jazz, hann window")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 480)
        choose(page, street(2))
        expect(page.locator(".headline")).to_have_text(re.compile("^siren"))
        page.reload()
        expect(page.get_by_role("button", name="Jazz music")).to_be_visible()
        page.evaluate("sessionStorage.clear()")
        page.reload()
        asked.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert").first).to_contain_text("A key is needed")


def test_the_documentation_is_drawn_without_asking_anyone_else(
    browser: Browser, server: ServerClient
) -> None:
    with watched(browser, server) as page:
        page.goto("/docs")
        expect(page.get_by_role("heading", name="Earshot")).to_be_visible()
        expect(page.get_by_text("/classify/{task}", exact=True)).to_be_visible()


def test_nothing_sticks_out_at_phone_width(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    choose(page, street(), "a_recording_with_a_very_long_name_" * 3 + ".wav")
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
