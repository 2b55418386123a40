"""Geometry of a farmed landscape: blocks with paths between them, cut into straight-edged fields.

The plane is divided into polygonal blocks (the Voronoi cells of a jittered grid). Every block has
a direction of its own, in which it is cut again and again along straight lines until the pieces
have the size of a field. Paths run between blocks and along the first cut of each block. Shares of
the units in each 10 m pixel are measured on a grid four times finer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .random_fields import Concern, stream

PIXEL_SIZE = 10.0
"""Side of a pixel, m."""
SUBSAMPLES = 4
"""Subsamples per pixel along each axis."""
BLOCK_FIELDS = 14
"""Fields of mean size in a block."""
PATH_HALF_WIDTH = 0.4
"""Half the width of a path between blocks, pixels."""
TRACK_HALF_WIDTH = 0.2
"""Half the width of a track inside a block, pixels."""
SMALLEST_UNIT = 20.0
"""Pieces left over at the edge of a block below this area (pixels) become margin."""
NEIGHBOUR_BLOCKS = 6
STRIP_PIXELS = 1 << 16

MARGIN_UNIT = 0
"""Unit of paths, hedges and field margins."""


@dataclass(frozen=True)
class Landscape:
    """Land units of a region and their shares of each pixel.

    Attributes:
        height: Rows.
        width: Columns.
        pixel: Flat index of the pixel of each entry, ascending, shape (N,).
        unit: Land unit of each entry, shape (N,). Unit 0 is paths and margins.
        weight: Share of the pixel's area, 0 to 1, shape (N,); the shares of a pixel add up to 1.
        dominant: Unit with the largest share, shape (H, W).
        purity: Largest share, 0 to 1, shape (H, W).
        area: Area of each unit inside the region, pixels, shape (U,).
        drawn: Number of each unit when it was drawn, before slivers were taken out, shape (U,).
    """

    height: int
    width: int
    pixel: NDArray[np.int64]
    unit: NDArray[np.int32]
    weight: NDArray[np.float32]
    dominant: NDArray[np.int32]
    purity: NDArray[np.float32]
    area: NDArray[np.float64]
    drawn: NDArray[np.int64]


@dataclass
class _Cut:
    """Straight cut of a rectangle; ``half_width`` of track on both sides; leaves are field numbers."""

    axis: int
    position: float
    half_width: float
    low: '_Cut | int'
    high: '_Cut | int'


def make_landscape(height: int, width: int, seed: int, field_size: float) -> Landscape:
    """Draw the land units of a region.

    Args:
        height: Rows, pixels.
        width: Columns, pixels.
        seed: Seed of the region.
        field_size: Mean area of a field, hectares.

    Returns:
        The landscape.
    """
    plan = _draw_plan(height, width, seed, field_size)
    tree_of_centres = cKDTree(plan.centres)
    rows = max(1, STRIP_PIXELS // width)
    strips = [
        _strip_entries(
            top,
            min(top + rows, height),
            width,
            plan.centres,
            tree_of_centres,
            plan.angles,
            plan.trees,
            plan.first_unit,
        )
        for top in range(0, height, rows)
    ]
    pixel, unit, weight = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    return _finish(height, width, pixel, unit, weight)


class _Plan(NamedTuple):
    """What the fields of a region follow from: centres and angles of the blocks, their cuts, their first units."""

    centres: NDArray[np.float64]
    angles: NDArray[np.float64]
    trees: list['_Cut | int']
    first_unit: NDArray[np.int64]


def _draw_plan(height: int, width: int, seed: int, field_size: float) -> _Plan:
    field_pixels = field_size * 1e4 / PIXEL_SIZE**2
    random = stream(seed, Concern.FIELDS)
    spacing = float(np.sqrt(field_pixels * BLOCK_FIELDS))
    centres = _block_centres(height, width, spacing, random)
    angles = random.uniform(0.0, np.pi, len(centres))
    return _Plan(centres, angles, *_cut_blocks(len(centres), spacing, field_pixels, random))


def unit_outlines(landscape: Landscape, seed: int, field_size: float) -> dict[int, NDArray[np.float64]]:
    """Return the outlines of the land units, exact where pixels only know shares.

    Args:
        landscape: The land units of a region.
        seed: Seed that the landscape was made with.
        field_size: Mean area of a field that it was made with, hectares.

    Returns:
        Unit to the corners of its convex outline, in order, as row and column (0 is the upper or left edge of the
        first pixel), shape (N, 2). Paths and margins have none.
    """
    plan = _draw_plan(landscape.height, landscape.width, seed, field_size)
    unit_of_drawn = {int(drawn): unit for unit, drawn in enumerate(landscape.drawn) if unit != MARGIN_UNIT}
    tree_of_centres = cKDTree(plan.centres)
    blocks = np.searchsorted(plan.first_unit, sorted(unit_of_drawn), side='right') - 1
    outlines = {}
    for block in np.unique(blocks).tolist():
        corners = _block_outline(block, plan.centres, tree_of_centres, landscape.height, landscape.width)
        cosine, sine = np.cos(plan.angles[block]), np.sin(plan.angles[block])
        turn = np.array([[cosine, -sine], [sine, cosine]])
        for leaf, piece in _leaves(plan.trees[block], (corners - plan.centres[block]) @ turn):
            drawn = int(plan.first_unit[block]) + leaf
            if drawn in unit_of_drawn:
                outlines[unit_of_drawn[drawn]] = piece @ turn.T + plan.centres[block]
    return outlines


def _block_outline(
    block: int, centres: NDArray[np.float64], tree_of_centres: cKDTree, height: int, width: int
) -> NDArray[np.float64]:
    """Corners of a block without its paths, clipped to the region."""
    corners = np.array([[0, 0], [0, width], [height, width], [height, 0]], dtype=np.float64)
    _, near = tree_of_centres.query(centres[block], k=min(4 * NEIGHBOUR_BLOCKS, len(centres)))
    for other in near[near != block]:
        away = centres[other] - centres[block]
        distance = float(np.linalg.norm(away))
        middle = (centres[other] + centres[block]) / 2
        corners = _clip(corners, away / distance, float(middle @ away) / distance - PATH_HALF_WIDTH)
    return corners


def _leaves(node: '_Cut | int', corners: NDArray[np.float64]) -> Iterable[tuple[int, NDArray[np.float64]]]:
    """The fields inside ``node``: their number in the block and their corners."""
    if len(corners) < 3:
        return
    if isinstance(node, int):
        yield node, corners
        return
    direction = np.eye(2)[node.axis]
    yield from _leaves(node.low, _clip(corners, direction, node.position - node.half_width))
    yield from _leaves(node.high, _clip(corners, -direction, -node.position - node.half_width))


def _clip(corners: NDArray[np.float64], direction: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Part of a convex polygon where ``point @ direction <= limit`` (Sutherland and Hodgman 1974), shape (N, 2)."""
    if len(corners) == 0:
        return corners
    beyond = corners @ direction - limit
    kept: list[NDArray[np.float64]] = []
    for this, following in zip(range(len(corners)), np.roll(np.arange(len(corners)), -1), strict=True):
        if beyond[this] <= 0:
            kept.append(corners[this])
        if (beyond[this] <= 0) != (beyond[following] <= 0):
            share = beyond[this] / (beyond[this] - beyond[following])
            kept.append(corners[this] + share * (corners[following] - corners[this]))
    return np.array(kept).reshape(-1, 2)


def _block_centres(height: int, width: int, spacing: float, random: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = int(np.ceil(height / spacing)) + 4, int(np.ceil(width / spacing)) + 4
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij'), axis=-1).reshape(-1, 2)
    return (grid - 1.5 + random.uniform(-0.38, 0.38, grid.shape)) * spacing


def _cut_blocks(
    count: int, spacing: float, field_pixels: float, random: np.random.Generator
) -> tuple[list['_Cut | int'], NDArray[np.int64]]:
    """Cut every block; also return the number of the first unit of each."""
    trees: list[_Cut | int] = []
    first_unit = [MARGIN_UNIT + 1]
    for _ in range(count):
        leaves = [0]
        half = 1.5 * spacing
        trees.append(_cut(-half, half, -half, half, field_pixels, random, leaves, depth=0))
        first_unit.append(first_unit[-1] + leaves[0])
    return trees, np.array(first_unit[:-1], dtype=np.int64)


def _cut(
    u0: float,
    u1: float,
    v0: float,
    v1: float,
    field_pixels: float,
    random: np.random.Generator,
    leaves: list[int],
    depth: int,
) -> '_Cut | int':
    long, short = max(u1 - u0, v1 - v0), min(u1 - u0, v1 - v0)
    target = field_pixels * random.lognormal(0.14, 0.45)
    if long * short < 1.5 * target:
        leaves[0] += 1
        return leaves[0] - 1
    # Mostly across the long side; now and then along it, which makes the long strips of old parishes.
    axis = int(u1 - u0 < v1 - v0)
    if long < 1.7 * short and random.random() < 0.3:
        axis = 1 - axis
    low, high = ((u0, u1), (v0, v1))[axis]
    position = low + (high - low) * random.uniform(0.36, 0.64)
    half_width = TRACK_HALF_WIDTH if 2 <= depth <= 3 else 0.0
    boxes = (
        ((u0, position, v0, v1), (position, u1, v0, v1))
        if axis == 0
        else ((u0, u1, v0, position), (u0, u1, position, v1))
    )
    parts = [_cut(*box, field_pixels, random, leaves, depth + 1) for box in boxes]
    return _Cut(axis, position, half_width, parts[0], parts[1])


def _strip_entries(
    top: int,
    bottom: int,
    width: int,
    centres: NDArray[np.float64],
    tree_of_centres: cKDTree,
    angles: NDArray[np.float64],
    trees: list['_Cut | int'],
    first_unit: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Units and their shares in the pixels of some rows."""
    rows, columns = np.meshgrid(np.arange(top, bottom), np.arange(width), indexing='ij')
    pixels = np.stack([rows.ravel() + 0.5, columns.ravel() + 0.5], axis=1)
    _, near = tree_of_centres.query(pixels, k=min(NEIGHBOUR_BLOCKS, len(centres)))
    offset = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    offsets = np.stack(np.meshgrid(offset, offset, indexing='ij'), axis=-1).reshape(-1, 2)
    points = (pixels[:, None, :] + offsets).reshape(-1, 2)
    block, on_path = _block_of_subsamples(pixels, points, near, centres)
    unit = _unit_of_points(points, block, centres, angles, trees, first_unit)
    unit[on_path] = MARGIN_UNIT
    flat = np.repeat(rows.ravel() * width + columns.ravel(), len(offsets))
    return _shares(flat, unit, len(offsets))


def _block_of_subsamples(
    pixels: NDArray[np.float64], points: NDArray[np.float64], near: NDArray[np.int64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Block of each subsample, and whether it is on a path between two blocks."""
    samples = len(points) // len(pixels)
    block, edge = _block_of_points(pixels, near, centres)
    block, on_path = np.repeat(block, samples), np.zeros(len(points), dtype=bool)
    # Only pixels that an edge or its path can touch are looked at more closely: most are not.
    close = np.repeat(edge < PATH_HALF_WIDTH + 0.75, samples)
    block[close], edge = _block_of_points(points[close], np.repeat(near, samples, axis=0)[close], centres)
    on_path[close] = edge < PATH_HALF_WIDTH
    return block, on_path


def _block_of_points(
    points: NDArray[np.float64], near: NDArray[np.int64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Block of each point, and its distance to the edge of the block, pixels."""
    squared = ((points[:, None, :] - centres[near]) ** 2).sum(axis=2)
    first = squared.argmin(axis=1)[:, None]
    own = np.take_along_axis(near, first, axis=1)
    own_squared = np.take_along_axis(squared, first, axis=1)
    between = np.sqrt(((centres[near] - centres[own]) ** 2).sum(axis=2))
    # Distance from the perpendicular bisector of the block's centre and another.
    with np.errstate(divide='ignore', invalid='ignore'):
        edge = np.where(between > 0, (squared - own_squared) / (2.0 * between), np.inf)
    return own[:, 0], edge.min(axis=1)


def _unit_of_points(
    points: NDArray[np.float64],
    block: NDArray[np.int64],
    centres: NDArray[np.float64],
    angles: NDArray[np.float64],
    trees: list['_Cut | int'],
    first_unit: NDArray[np.int64],
) -> NDArray[np.int64]:
    relative = points - centres[block]
    cosine, sine = np.cos(angles[block]), np.sin(angles[block])
    turned = np.stack(
        [cosine * relative[:, 0] + sine * relative[:, 1], cosine * relative[:, 1] - sine * relative[:, 0]], axis=1
    )
    unit = np.zeros(len(points), dtype=np.int64)
    order = np.argsort(block, kind='stable')
    bounds = np.flatnonzero(np.diff(block[order])) + 1
    for members in np.split(order, bounds):
        number = int(block[members[0]])
        _descend(trees[number], turned, members, int(first_unit[number]), unit)
    return unit


def _descend(
    node: '_Cut | int', points: NDArray[np.float64], members: NDArray[np.int64], first: int, unit: NDArray[np.int64]
) -> None:
    """Write the unit of the points ``members``, all inside ``node``, to ``unit``."""
    if isinstance(node, int):
        unit[members] = first + node
        return
    distance = points[members, node.axis] - node.position
    for part, inside in ((node.low, distance < -node.half_width), (node.high, distance >= node.half_width)):
        if inside.any():
            _descend(part, points, members[inside], first, unit)


def _shares(
    pixel: NDArray[np.int64], unit: NDArray[np.int64], samples: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    count = int(unit.max()) + 1
    key, number = np.unique(pixel * count + unit, return_counts=True)
    return key // count, (key % count).astype(np.int32), (number / samples).astype(np.float32)


def _finish(
    height: int, width: int, pixel: NDArray[np.int64], unit: NDArray[np.int32], weight: NDArray[np.float32]
) -> Landscape:
    """Turn slivers to margin, number the units without gaps and find the dominant one per pixel."""
    area: NDArray[np.float64] = np.bincount(unit, weights=weight).astype(np.float64)
    unit = np.where(area[unit] < SMALLEST_UNIT, MARGIN_UNIT, unit).astype(np.int32)
    kept = np.union1d([MARGIN_UNIT], unit)
    unit = np.searchsorted(kept, unit).astype(np.int32)
    count = len(kept)
    # Slivers that became margin may share a pixel with other margin: add their shares.
    key, entry = np.unique(pixel * count + unit, return_inverse=True)
    weight = np.bincount(entry, weights=weight).astype(np.float32)
    pixel, unit = key // count, (key % count).astype(np.int32)
    order = np.lexsort((-unit, weight, pixel))
    last = order[np.append(np.diff(pixel[order]) > 0, True)]
    shape = (height, width)
    area = np.bincount(unit, weights=weight, minlength=count).astype(np.float64)
    dominant, purity = unit[last].reshape(shape), weight[last].reshape(shape)
    return Landscape(height, width, pixel, unit, weight, dominant, purity, area, kept)


def assign_classes(
    area: NDArray[np.float64], proportions: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Give each piece of land a class so that the areas come near the proportions asked for.

    Pieces are taken in random order and each draws its class with a probability in proportion to
    the area that class still lacks.

    Args:
        area: Areas, shape (N,).
        proportions: Share of the total area of each class, adding up to 1, shape (K,).
        random: Source of the numbers.

    Returns:
        Class of each piece, 0 to K - 1, shape (N,).
    """
    lacking = proportions * area.sum()
    chosen = np.zeros(len(area), dtype=np.int64)
    draws = random.random(len(area))
    for draw, piece in zip(draws, random.permutation(len(area)), strict=True):
        # A class that lacks less than half a piece is only drawn when no other lacks more.
        chances = np.maximum(lacking - 0.5 * area[piece], 0.0)
        if chances.sum() <= 0:
            chances = (lacking == lacking.max()).astype(np.float64)
        cumulated = np.cumsum(chances) / chances.sum()
        chosen[piece] = min(int(np.searchsorted(cumulated, draw, side='right')), len(proportions) - 1)
        lacking[chosen[piece]] -= area[piece]
    return chosen
