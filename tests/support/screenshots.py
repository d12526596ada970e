"""Pictures of the page: `python -m tests.support.screenshots FOLDER [RECORDING]`, as in `docs/`.

`page.png` and `page-phone.png` are light, `page-dark.png` and `page-phone-dark.png` dark, and
`...-whole.png` the whole page with all windows compared; of a service with the checkpoints that
come with Earshot. Without a recording, the page's own street scene is shown.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.serving import serve

# Width, height and pixels of the device to each of the page's.
SIZES = {"page": (1280, 800, 1), "page-phone": (390, 844, 2)}
PATIENCE_MS = 60_000


def listen(page: Page, recording: Path | None) -> None:
    """Have a recording recognised and the gallery drawn."""
    page.goto("/")
    expect(page.get_by_role("button", name="Rock music")).to_be_visible()
    if recording is None:
        page.get_by_role("button", name="Street scene").click()
    else:
        page.locator("#file").set_input_files(recording)
    expect(page.locator("#spectrum[data-drawn=true]")).to_be_visible()
    expect(page.locator(".headline")).to_have_count(1)
    for picture in page.get_by_role("img", name="window").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 480)


def main(folder: Path, recording: Path | None) -> None:
    """Write the pictures into `folder`."""
    expect.set_options(timeout=PATIENCE_MS)
    with serve(preload="all") as server, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for name, (width, height, scale) in SIZES.items():
            for scheme, suffix in (("light", ""), ("dark", "-dark")):
                page = chromium.new_page(
                    base_url=str(server.base_url),
                    viewport={"width": width, "height": height},
                    device_scale_factor=scale,
                    color_scheme=scheme,
                )
                listen(page, recording)
                # On a phone the answer stands below the sources: it is what is to be seen.
                shown = "#sound" if scale > 1 else "header"
                page.locator(shown).evaluate("element => element.scrollIntoView()")
                page.screenshot(path=folder / f"{name}{suffix}.png")
                page.get_by_label("Compare windows").check()
                expect(page.locator(".headline")).to_have_count(3)
                page.screenshot(path=folder / f"{name}{suffix}-whole.png", full_page=True)
                page.close()
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
