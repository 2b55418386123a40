import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from mmsits.datasets.scene.grid import Grid, Window, block_windows
from mmsits.datasets.scene.windows import sample_windows
from tests.helpers.scene_files import transform

sizes = st.integers(1, 40)


def grid(height: int = 30, width: int = 20, **place: int) -> Grid:
    return Grid(CRS.from_epsg(32631), transform(**place), height, width)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 17), st.integers(1, 17))
def test_windows_cover_every_pixel_and_lie_inside(height: int, width: int, size: int, stride: int) -> None:
    stride = min(size, stride)
    for windows in (
        sample_windows(grid(height, width), size, stride),
        list(block_windows(height, width, size)),
    ):
        counts = np.zeros((height, width), int)
        for window in windows:
            assert window.row >= 0 <= window.column
            assert window.shape == counts[window.slices].shape
            counts[window.slices] += 1
        assert counts.min() >= 1


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, st.integers(1, 17))
def test_blocks_and_windows_without_stride_share_no_pixel(height: int, width: int, size: int) -> None:
    for windows in (block_windows(height, width, size), sample_windows(grid(height, width), size)):
        counts = np.zeros((height, width), int)
        for window in windows:
            counts[window.slices] += 1
        assert (counts == 1).all()


@given(st.tuples(*[st.integers(-20, 20)] * 2, *[sizes] * 2), st.tuples(*[st.integers(-20, 20)] * 2, *[sizes] * 2))
def test_intersection_is_that_of_sets_of_pixels(one: tuple, other: tuple) -> None:
    pixels = [{(r, c) for r in range(w[0], w[0] + w[2]) for c in range(w[1], w[1] + w[3])} for w in (one, other)]
    shared = Window(*one).intersection(Window(*other))
    assert shared.height * shared.width == len(pixels[0] & pixels[1])


def test_a_part_of_a_grid_lies_where_its_window_does() -> None:
    whole = grid()
    part = whole.part(Window(3, -2, 5, 7))
    assert part.shape == (5, 7)
    assert whole.offset_of(part) == (3, -2)
    assert part.offset_of(whole) == (-3, 2)


def test_grids_between_the_pixels_or_of_another_size_or_crs_are_no_parts() -> None:
    shifted = grid()._replace(transform=transform() @ type(transform()).translation(0.4, 0))
    coarse = Grid(grid().crs, transform(pixel=20), 15, 10)
    elsewhere = grid()._replace(crs=CRS.from_epsg(32632))
    assert [grid().offset_of(other) for other in (shifted, coarse, elsewhere)] == [None] * 3
    assert grid().offset_of(grid()) == (0, 0)


def test_a_coarser_grid_is_known_by_its_ratio() -> None:
    assert grid().ratio_to(Grid(grid().crs, transform(-3, 1, pixel=30), 9, 9)) == 3
    others = [
        transform(pixel=25),
        transform(),
        transform(pixel=5),
        transform(pixel=20) @ type(transform()).translation(0.2, 0),
    ]
    assert [grid().ratio_to(Grid(grid().crs, other, 9, 9)) for other in others] == [None] * 4


@given(st.integers(-30, 30), st.integers(-30, 30), sizes, sizes, st.integers(1, 7))
def test_a_coarsened_window_is_the_smallest_that_holds_it(
    row: int, column: int, height: int, width: int, ratio: int
) -> None:
    coarse = Window(row, column, height, width).coarsened(ratio)
    assert 0 <= row - coarse.row * ratio < ratio
    assert 0 <= column - coarse.column * ratio < ratio
    assert 0 <= (coarse.row + coarse.height) * ratio - (row + height) < ratio
    assert 0 <= (coarse.column + coarse.width) * ratio - (column + width) < ratio


def test_overlap_is_seen_across_reference_systems() -> None:
    degrees = Grid(CRS.from_epsg(4326), type(transform())(0.01, 0, 2.9, 0, -0.01, 45.2), 20, 20)
    assert grid().overlaps(degrees)
    assert degrees.overlaps(grid())
    assert not grid().overlaps(degrees._replace(transform=type(transform())(0.01, 0, 12.9, 0, -0.01, 45.2)))


def test_bounds_and_pixel_size_are_in_units_of_the_map() -> None:
    assert grid().bounds == (500_000, 4_999_700, 500_200, 5_000_000)
    assert grid().pixel_size == (10, 10)


@pytest.mark.parametrize(('size', 'stride'), [(0, None), (4, 5), (4, 0)])
def test_strides_that_leave_gaps_are_refused(size: int, stride: int | None) -> None:
    with pytest.raises(ValueError, match='stride'):
        sample_windows(grid(), size, stride)
