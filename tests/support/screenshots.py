"""Screenshots of the page: `python -m tests.support.screenshots FOLDER [RECORDING]`.

`page.png` and `page-phone.png` of `docs/` are light, `page-dark.png` and `page-phone-dark.png`
dark, and `...-whole.png` the whole page with all windows compared. The service has the shipped
checkpoints. Without a recording, the page's own street scene is shown.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.serving import serve

SIZES = {"page": (1280, 800, 1), "page-phone": (390, 844, 2)}
"""width, height and device pixels per pixel of the page"""
TIMEOUT_MS = 60_000


def classify(page: Page, recording: Path | None) -> None:
    """Open the page, have a recording classified and every spectrogram drawn."""
    page.goto("/")
    expect(page.get_by_role("button", name="Street music")).to_be_visible()
    if recording is None:
        page.get_by_role("button", name="Street scene").click()
    else:
        page.locator("#file").set_input_files(recording)
    expect(page.locator("#spectrogram[data-drawn=true]")).to_be_visible()
    expect(page.locator(".headline")).to_have_count(1)
    for image in page.get_by_role("img", name="window").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_attribute("data-drawn", "true")


def take_screenshots(base_url: str, folder: Path, recording: Path | None) -> None:
    """Write the screenshots of the page at `base_url` into `folder`."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for name, (width, height, scale) in SIZES.items():
            for scheme, suffix in (("light", ""), ("dark", "-dark")):
                page = chromium.new_page(
                    base_url=base_url,
                    viewport={"width": width, "height": height},
                    device_scale_factor=scale,
                    color_scheme=scheme,
                )
                classify(page, recording)
                # On a phone the results stand below the sources: they are to be seen.
                shown = "#sound" if scale > 1 else "header"
                page.locator(shown).evaluate("element => element.scrollIntoView()")
                page.screenshot(path=folder / f"{name}{suffix}.png")
                page.locator("#advanced summary").click()
                page.locator("#compare").check()
                checkpoints = page.locator("#checkpoints input").count()
                expect(page.locator(".headline")).to_have_count(checkpoints)
                page.screenshot(path=folder / f"{name}{suffix}-whole.png", full_page=True)
                page.close()
        chromium.close()


def main(folder: Path, recording: Path | None) -> None:
    """Write the screenshots of a service of this checkout into `folder`."""
    with serve(preload="all") as server:
        take_screenshots(str(server.base_url), folder, recording)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
