"""Panels: pure functions at every corner of their sliders, the widgets above them, and the PNG that carries them."""

from __future__ import annotations

import io
import itertools
import zlib
from datetime import datetime, timezone

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data.crops import AREA_LAWS, PARTS, CropScheme
from course_lib.data.images import SOURCE_PHOTOGRAPHS
from course_lib.data.loading import load_source
from course_lib.data.sources import GENERATED, Source, generate
from course_lib.lessons.crops.measures import LAWS, cut_pieces, measured
from course_lib.lessons.crops.panel import SCHEME_PARTS, SIDES, crop_panel, make_backdrop, part_rows, weaken
from course_lib.lessons.crops.sliders import explore_crops, explore_parts
from course_lib.pictures import png
from course_lib.pictures.panel import Panel
from course_lib.pictures.png import encode_png
from course_lib.support.errors import CourseError

SIZE = (548, 860, 3)


@pytest.fixture(scope="module")
def china() -> Source:
    return load_source("china")


@pytest.fixture(scope="module")
def thousand() -> Source:
    return Source.from_images(cut_pieces([generate("dead_leaves")], 1000, side=64), "a thousand pieces")


def find(panel: Panel, kind: type, name: str = "") -> ipywidgets.Widget:
    """The first widget of a kind in a panel, with this description if one is given."""
    return next(w for w in inside(panel.box) if isinstance(w, kind) and name in ("", getattr(w, "description", "")))


def inside(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    return [widget] + [found for child in getattr(widget, "children", ()) for found in inside(child)]


def sliders(panel: Panel) -> list[ipywidgets.Widget]:
    return [w for w in inside(panel.box) if "Slider" in type(w).__name__]


def ends(slider: ipywidgets.Widget) -> list:
    """The least and the greatest value of a slider."""
    if isinstance(slider, ipywidgets.SelectionSlider):
        values = [option[1] if isinstance(option, tuple) else option for option in slider.options]
        return [values[0], values[-1]]
    if isinstance(slider, ipywidgets.FloatLogSlider):
        return [slider.base**slider.min, slider.base**slider.max]
    return [slider.min, slider.max]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("area_law", AREA_LAWS)
def test_the_crop_panel_at_every_corner(area_law: str, side: int, china: Source) -> None:
    backdrop = make_backdrop(china)
    corners = itertools.product((1e-4, 1.0), (0.2, 1.0), (0.0, 180.0), (0.0, 1.0), (0.0, 1.0))
    for beta, gamma, alpha, flip, jitter in corners:
        scheme = CropScheme(beta, gamma, alpha, flip, jitter, area_law)
        pixels, _ = crop_panel(china, scheme, side, seed=1, backdrop=backdrop)
        assert pixels.dtype == np.uint8 and pixels.shape == SIZE


def test_a_panel_without_a_backdrop_makes_its_own(china: Source) -> None:
    with_one, _ = crop_panel(china, CropScheme(), backdrop=make_backdrop(china))
    assert np.array_equal(crop_panel(china, CropScheme())[0], with_one)
    with pytest.raises(ValueError, match="8, 16, 32, 64, got 20"):
        crop_panel(china, CropScheme(), side=20)


@pytest.mark.parametrize("make", [explore_crops, explore_parts])
def test_every_slider_at_its_ends(make, china: Source) -> None:  # noqa: ANN001
    """Through the widgets themselves; all at once too."""
    panel = make(china)
    for slider in sliders(panel):
        start = slider.value
        for value in (*ends(slider), start):
            slider.value = value
            assert "<b>" not in panel.words.value, (slider.description, value, panel.words.value)
    for i in (0, 1):
        for slider in sliders(panel):
            slider.value = ends(slider)[i]
        assert "<b>" not in panel.words.value
        assert Image.open(io.BytesIO(panel.image.value)).size == (SIZE[1], SIZE[0])


def test_every_slider_and_button_changes_the_picture(china: Source) -> None:
    panel, drawn = explore_crops(china), []
    panel.image.observe(drawn.append, "value")
    seen = [bytes(panel.image.value)]
    for slider in sliders(panel):
        start = slider.value
        slider.value = next(value for value in reversed(ends(slider)) if value != start)
        seen.append(bytes(panel.image.value))
        slider.value = start
    find(panel, ipywidgets.Button, "deal again").click()
    seen.append(bytes(panel.image.value))
    assert len(sliders(panel)) == 8 and len(set(seen)) == 10
    assert len(drawn) == 2 * 8 + 1, "one picture a move, and no more"
    size = Image.open(io.BytesIO(panel.image.value)).size
    assert (str(size[0]), str(size[1])) == (panel.image.width, panel.image.height), "fixed, so that nothing reflows"


def test_the_play_button_sweeps_any_slider(china: Source) -> None:
    panel = explore_crops(china)
    which, play = find(panel, ipywidgets.Dropdown, "sweep"), find(panel, ipywidgets.Play)
    for name in which.options:
        which.value = name
        slider = next(s for s in sliders(panel) if s.description == name.replace("_", " "))
        reached = []
        for value in (play.max // 2, play.max, play.min):
            play.value = value
            reached.append(slider.value)
        assert (
            reached[1:] == pytest.approx(ends(slider)[::-1])
            if name != "area_law"
            else reached[1:] == ends(slider)[::-1]
        )
        assert "<b>" not in panel.words.value


@pytest.mark.parametrize("name", [*SOURCE_PHOTOGRAPHS, *GENERATED])
def test_every_image_can_be_chosen(name: str, china: Source) -> None:
    panel = explore_crops(china)
    find(panel, ipywidgets.Dropdown, "image").value = name
    assert f"Crops of {name} at" in panel.words.value
    find(panel, ipywidgets.Dropdown, "image").value = "china"
    assert "Crops of china at" in panel.words.value


def upload(panel: Panel, name: str, content: bytes) -> None:
    """As ipywidgets 7 and 8 each hand a file over."""
    widget = find(panel, ipywidgets.FileUpload)
    if ipywidgets.__version__.startswith("7"):
        widget.set_trait("value", {name: {"metadata": {"name": name}, "content": content}})
    else:
        file = {"name": name, "type": "image/png", "size": len(content), "content": content}
        file["last_modified"] = datetime.now(timezone.utc)
        widget.set_trait("value", ()), widget.set_trait("value", (file,))


def test_an_upload_becomes_the_source_or_is_refused_in_words(china: Source) -> None:
    panel = explore_crops(china)
    before = panel.image.value
    upload(panel, "broken.png", b"no picture")
    assert "cannot be used" in panel.words.value and panel.image.value == before
    upload(panel, "mine.png", encode_png(generate("dead_leaves", 200, 150).permute(1, 2, 0).contiguous().numpy()))
    assert "Crops of mine.png" in panel.words.value and panel.image.value != before
    first = bytes(panel.image.value)
    upload(panel, "mine.png", encode_png(generate("noise", 200, 150).permute(1, 2, 0).contiguous().numpy()))
    assert bytes(panel.image.value) != first, "another picture of the same name"


def test_an_error_in_a_callback_shows_in_the_panel(china: Source) -> None:
    def broken(area: torch.Tensor, ratio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if area.min() > 200_000:
            raise ZeroDivisionError("<too large>")
        return PARTS.crop_size(area, ratio)

    panel = explore_crops(
        china, CropScheme(beta=0.001, area_law="log-uniform", alpha=0), parts=PARTS._replace(crop_size=broken)
    )
    before = bytes(panel.image.value)
    find(panel, ipywidgets.FloatLogSlider, "beta").value = 1.0
    assert "<b>ZeroDivisionError</b>: &lt;too large&gt;" in panel.words.value and panel.image.value == before
    find(panel, ipywidgets.FloatLogSlider, "beta").value = 0.001
    assert "<b>" not in panel.words.value
    with pytest.raises(ZeroDivisionError):  # an error at the start is the cell's own
        explore_crops(china, CropScheme(beta=1), parts=PARTS._replace(crop_size=broken))


def test_a_learners_functions_are_at_work(china: Source) -> None:
    calls = []

    def own(flipped: torch.Tensor) -> torch.Tensor:
        calls.append(len(flipped))
        return PARTS.flip_map(~flipped)

    panel = explore_crops(china, parts=PARTS._replace(flip_map=own))
    assert calls and panel.image.value != explore_crops(china).image.value


def test_a_panel_has_a_picture_in_words_without_a_kernel(china: Source) -> None:
    for panel in (explore_crops(china), explore_parts(china)):
        bundle = panel._repr_mimebundle_()
        assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]
        assert 'alt="' in bundle["text/html"] and "cover less than" in bundle["text/html"]
        assert len(bundle["text/plain"]) > 80


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_every_image_has_its_place(count: int) -> None:
    images = [torch.full((3, 70 + i % 7, 90), 10 + i, dtype=torch.uint8) for i in range(count)]
    pixels, places = make_backdrop(Source.from_images(images, "many"))
    assert len(places) == count and pixels.shape == (212, 300, 3)
    for i, (left, top, width, height, _) in enumerate(places.astype(int)):
        assert (pixels[top : top + height, left : left + width] == 10 + i).all()
    assert places[:, 2].max() > 300 / (2 * count**0.5) - 2, "as large as there is room"


def test_a_thousand_images_can_be_explored(thousand: Source) -> None:
    panel = explore_crops(thousand)
    before = panel.image.value
    sliders(panel)[0].value = 1.0
    assert panel.image.value != before and "<b>" not in panel.words.value


@pytest.mark.parametrize("area_law", AREA_LAWS)
def test_histograms_and_laws_agree_where_crops_fit(area_law: str) -> None:
    square = Source.from_images([generate("flat", 1000, 1000)], "square")
    scheme = CropScheme(0.01, alpha=0, gamma=0.5, area_law=area_law)
    numbers = measured(square, scheme.sample(square, 20_000))
    assert set(numbers) == set(LAWS)
    fits = numbers["area"] < 0.45  # a crop of ratio 1/2 fits into a square up to half of its area
    law, edges = LAWS["area"]
    for edge in edges[(edges > 0.02) & (edges < 0.45)]:
        assert (numbers["area"] <= edge).mean() == pytest.approx(law(scheme, edge), abs=0.012)
    law, edges = LAWS["ratio"]
    for edge in edges:
        assert (numbers["ratio"][fits] <= edge).mean() == pytest.approx(law(scheme, edge), abs=0.02)


def test_laws_of_one_value_are_a_step() -> None:
    scheme = CropScheme(beta=1, gamma=1, alpha=0)
    for name, value in (("area", 1.0), ("ratio", 1.0), ("angle", 0.0)):
        law, _ = LAWS[name]
        assert law(scheme, np.array([value - 0.01, value, value + 0.01])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("part", SCHEME_PARTS)
def test_a_part_is_taken_away_by_degrees(part: str, china: Source) -> None:
    scheme = CropScheme()
    assert weaken(scheme, part, 1) == scheme
    half, gone = weaken(scheme, part, 0.5), weaken(scheme, part, 0)
    assert scheme != half != gone
    rows = part_rows(china, scheme)
    assert not torch.equal(rows["all"], rows[f"no {part}"])
    if part == "colour":
        assert torch.allclose(gone.sample(china, 5).colour, torch.eye(3, 4).expand(5, 3, 4), atol=1e-6)
    if part == "turn":
        assert gone.sample(china, 50).angle.abs().max() < 1e-4


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(CourseError, match="crop"):
        weaken(CropScheme(), "hue", 0.5)


@pytest.mark.parametrize("deflate", [png.deflate, zlib])
def test_a_png_keeps_every_pixel(deflate, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(png, "deflate", deflate)
    for shape in ((1, 1, 3), (7, 3, 3), (200, 333, 3)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        with Image.open(io.BytesIO(encode_png(pixels))) as picture:
            picture.load()
            assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), pixels)
