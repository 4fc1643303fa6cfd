"""A forecast beside the truth, moving: one animated picture inside the page, and a still for those who prefer one.

In: fields (time, h, w) of forecast and truth. Out: a part of a page, at most ``LIMIT`` bytes of picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.report.page import folded
from geoadapt.report.quicklook import encode
from geoadapt.report.weather_maps import LatLon, colour_bar, draw_map, drawable, field_scale, map_size
from geoadapt.report.wording import safe_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["LIMIT", "animation", "frames", "pack"]

LIMIT = 1_400_000
"""Bytes of the animated picture."""
WIDTH = 9.6
"""Of a frame [inch]."""
DPI = 100
PAPER, WORDS = "#fbfaf7", "#1d2320"
"""A frame brings its own paper: its words cannot follow the page's colours."""
LAST = 3
"""The last frame stays this many times as long."""
CHOICES: tuple[tuple[float, int, int | None], ...] = (
    (1.0, 1, None),
    (1.0, 1, 80),
    (0.75, 1, 70),
    (0.6, 2, 60),
    (0.4, 4, 50),
)
"""Size, every how many frames, and quality (``None``: lossless), tried until the picture is small enough."""
Values = NDArray[np.floating]
Picture = NDArray[np.uint8]


def animation(
    forecast: Values,
    truth: Values,
    labels: Sequence[str],
    place: LatLon,
    unit: str,
    alt: str,
    caption: str = "",
    seconds: float = 0.7,
) -> Markup:
    """Forecast and truth (time, h, w) side by side, ``seconds`` per state, in a part that the reader can fold away.

    Those who ask for less motion see the last state, still.
    """
    pictures = list(frames(forecast, truth, labels, place, unit))
    data = base64.b64encode(pack(pictures, seconds)).decode("ascii")
    still = base64.b64encode(encode(pictures[-1])).decode("ascii")
    height, width = pictures[0].shape[:2]
    text = Markup("<figcaption>{}</figcaption>").format(caption) if caption else ""
    moving = Markup(
        '<figure class="moving"><picture><source media="(prefers-reduced-motion: reduce)" type="image/png" '
        'srcset="data:image/png;base64,{}"><img src="data:image/webp;base64,{}" width="{}" height="{}" alt="{}">'
        "</picture>{}</figure>"
    ).format(still, data, width, height, alt, text)
    return folded("Show or hide the animation", moving, shown=True)


def frames(forecast: Values, truth: Values, labels: Sequence[str], place: LatLon, unit: str) -> Iterator[Picture]:
    """One picture (h, w, 3) per state, forecast left and truth right, under one scale and the state's label."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    expected = (len(labels), *place.shape)
    if not labels or forecast.shape != expected or truth.shape != expected:
        found = f"forecast {forecast.shape}, truth {truth.shape}, {len(labels)} labels"
        raise GeoadaptError("animation", found, f"expected (time, h, w) = {expected}, at least one state")
    drawing, images = _stage(forecast, truth, labels[0], place, unit)
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawing.set_layout_engine("none")  # All frames are laid out as the first, and need not be laid out again.
    for *states, label in zip(forecast, truth, labels, strict=True):
        for image, values in zip(images, states, strict=True):
            image.set_data(drawable(values, place)[0])
        drawing.suptitle(safe_text(label), color=WORDS, fontsize=12, fontweight="bold")
        canvas.draw()  # type: ignore[no-untyped-call]
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _stage(forecast: Values, truth: Values, label: str, place: LatLon, unit: str) -> tuple[Figure, list[AxesImage]]:
    """The drawing of the first state, and the two images in it that change."""
    from matplotlib.figure import Figure

    scale = field_scale(forecast, truth)
    height = map_size(place, WIDTH / 2 - 0.5) + 1.3
    drawing = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor=PAPER)
    panels = drawing.subplots(1, 2, sharey=True)
    images = []
    for axes, values, name in zip(panels, (forecast, truth), ("forecast", "truth"), strict=True):
        images.append(draw_map(axes, values[0], place, scale, WORDS, hatched=not np.isfinite(values).all()))
        axes.set_title(name, color=WORDS, fontsize=11)
    drawing.suptitle(safe_text(label), color=WORDS, fontsize=12, fontweight="bold")
    colour_bar(drawing, images[0], panels, unit, WORDS)
    return drawing, images


def pack(pictures: Sequence[Picture], seconds: float, limit: int = LIMIT) -> bytes:
    """Pictures (h, w, 3) as an animated WebP of at most ``limit`` bytes, reduced as far as that needs.

    Raises:
        GeoadaptError: where even the smallest is too large.
    """
    smallest = 0
    for size, every, quality in CHOICES:
        chosen = [*pictures[:-1:every], pictures[-1]]
        data = _webp(chosen, size, quality, round(1000 * seconds * every))
        if len(data) <= limit:
            return data
        smallest = len(data)
    raise GeoadaptError("animation", f"{smallest:,} bytes, the limit is {limit:,}", "show fewer states")


def _webp(pictures: Sequence[Picture], size: float, quality: int | None, milliseconds: int) -> bytes:
    from PIL import Image

    images = [Image.fromarray(picture) for picture in pictures]
    if size < 1:
        small = (round(images[0].width * size), round(images[0].height * size))
        images = [image.resize(small, Image.Resampling.LANCZOS) for image in images]
    durations = [*[milliseconds] * (len(images) - 1), LAST * milliseconds]
    options = {"lossless": True} if quality is None else {"quality": quality}
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=durations, loop=0, method=4, **options
    )
    return buffer.getvalue()
