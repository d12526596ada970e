"""The page in a real browser."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

TIMEOUT_MS = 60_000


def find_browser() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def start_browser(path: str, microphone: Path) -> Iterator[Browser]:
    """Start a headless browser, whose microphone hears a WAV file again and again."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=path,
            args=[
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )
        expect.set_options(timeout=TIMEOUT_MS)
        yield chromium
        chromium.close()


@contextmanager
def open_page(browser: Browser, server: httpx.Client, **options: Any) -> Iterator[Page]:
    """Open a page, which may send requests to the server alone, and log no error."""
    context = browser.new_context(base_url=str(server.base_url), **options)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    foreign_requests, errors = [], []
    own = urlsplit(str(server.base_url)).netloc

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and address.netloc != own:
            foreign_requests.append(request.url)

    def on_response(response: Response) -> None:
        # The page shows the problems of these, and asks for a key; nothing else may fail.
        is_shown = re.search("/(classify|stream)/", response.url)
        if response.status >= 400 and response.status != 401 and not is_shown:
            errors.append(f"{response.status} {response.url}")

    def on_console(message: ConsoleMessage) -> None:
        is_response = message.text.startswith(("Failed to load resource", "WebSocket connection"))
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


def choose_file(page: Page, content: bytes, name: str = "street.wav") -> None:
    """Have the page open a file."""
    file = {"name": name, "mimeType": "audio/wav", "buffer": content}
    page.get_by_label("Choose files").set_input_files(file)


def wait_until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until a JavaScript function of an argument returns true; it is called at each frame.

    Playwright's own `wait_for_function` compiles it anew in the page, which the page's content
    security policy forbids.
    """
    page.evaluate(
        f"""async argument => {{
            const holds = {condition};
            const end = performance.now() + {TIMEOUT_MS};
            while (!(await holds(argument))) {{
                if (performance.now() > end) throw new Error("the condition did not come true");
                await new Promise(requestAnimationFrame);
            }}
        }}""",
        argument,
    )
