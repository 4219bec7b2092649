"""The averaged copies of the source images."""

from __future__ import annotations

import pytest
import torch

from course_lib.data import mips
from course_lib.data.mips import box_means, build_atlas, level_of, mip_levels, running_sums


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("count", "width"), [(10, 3.0), (7, 2.4), (10, 1.0), (3, 9.5)])
def test_box_means_are_integrals(count: int, width: float) -> None:
    """Against sums over a thousand pieces of each value."""
    values, fine = torch.rand(10, dtype=torch.float64), 1000
    pieces = values.repeat_interleave(fine)
    for i, mean in enumerate(box_means(running_sums(values, 0), 0, count, width)):
        centre = (i + 0.5) * 10 / count
        left, right = max(0.0, centre - width / 2), min(10.0, centre + width / 2)
        assert mean.item() == pytest.approx(pieces[round(left * fine) : round(right * fine)].mean().item(), abs=1e-3)


def test_an_atlas_holds_every_level_of_every_image() -> None:
    images = [picture(64, 90), picture(30, 200, 1), picture(2, 3, 2)]
    texels, levels = build_atlas(images)
    assert levels.shape[0] == 3 and (texels[:, 3] == 255).all()
    for image, rows in zip(images, levels.tolist()):
        for level, (first, width, height) in zip(mip_levels(image), rows):
            stored = texels[first : first + width * height, :3].T.view(3, height, width)
            assert torch.equal(stored, level)
    assert (levels[2] == levels[2, 0]).all(), "a tiny image has one level, which it repeats"


def test_levels_are_averages_and_get_coarser() -> None:
    levels = list(mip_levels(picture(200, 300)))
    assert all(a.shape[1] >= b.shape[1] for a, b in zip(levels, levels[1:]))
    assert all(a.float().std() > b.float().std() for a, b in zip(levels, levels[1:]))
    assert all(abs(level.float().mean() - levels[0].float().mean()) < 1 for level in levels)
    assert levels[-1].shape[1] < 16


def test_the_level_grows_with_what_a_pixel_covers() -> None:
    covered = torch.tensor([0.01, 0.9, 1.8, 4.4, 8.9, 1e6])
    assert level_of(covered, 11).tolist() == [0, 0, 2, 6, 9, 10]


def test_more_texels_than_32_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mips, "_MOST_TEXELS", 100)
    with pytest.raises(ValueError, match="use fewer or smaller"):
        build_atlas([picture(64, 64)])
