import io

import numpy as np
import pytest
from PIL import Image

from app.rendering import figures
from app.rendering.figures import draw_evidence, draw_spectrograms
from app.rendering.spectrogram import Panel, RenderOptions, compute_spectrogram


def draw(evidence: np.ndarray, db: np.ndarray) -> np.ndarray:
    picture = draw_evidence(
        db.astype(np.float32),
        evidence.astype(np.float32),
        stride=32,
        times=np.arange(db.shape[1]) / 50,
        frequencies=np.geomspace(100, 8000, db.shape[0]),
        title="it",
        options=RenderOptions(width=800, height=400),
    )
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert pixels.shape == (400, 800, 3)
    # Without what is written around it, and without the colour bar.
    return pixels[40:340, 80:680]


def test_red_speaks_for_and_blue_against_where_the_map_says() -> None:
    evidence = np.zeros((2, 5))
    evidence[1, 1], evidence[0, 3] = 4.0, -4.0
    pixels = draw(evidence, np.tile(np.arange(129.0), (64, 1)))
    redness = pixels[:, :, 0] - pixels[:, :, 2]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert row < 150  # the upper row of places
    assert abs(column / 600 - 1 / 4) < 0.05
    row, column = np.unravel_index(redness.argmin(), redness.shape)
    assert row > 200
    assert abs(column / 600 - 3 / 4) < 0.05


def test_the_spectrogram_is_grey_where_the_map_says_nothing() -> None:
    pixels = draw(np.zeros((2, 5)), np.tile(np.arange(129.0), (64, 1)))
    assert np.ptp(pixels, axis=2).max() <= 2
    assert np.all(np.diff(pixels[150, ::50, 0]) > 0)  # louder is brighter


def test_titles_are_shown_as_they_are_and_strips_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    shown = compute_spectrogram(
        rng.standard_normal(66_150).astype(np.float32), window="hann", columns=200, top_db=80
    )
    # Of mathematics, this would be an error; and so would a glyph of no font.
    panels = [Panel(r"$\frac{1}$ a_b^c $", shown), Panel("\N{REPLACEMENT CHARACTER}", shown)]
    for picture_format in ("png", "svg"):
        options = RenderOptions(600, 300, picture_format)
        in_strips = draw_spectrograms(panels, options)
        monkeypatch.setattr(figures, "_STRIP_CELLS", 1 << 30)
        assert in_strips == draw_spectrograms(panels, options)
        monkeypatch.undo()
