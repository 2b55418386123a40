"""Checks of CropMapping's way from polygons to patches: clusters, boxes, masks, dates, the grid of patches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mmsits.datasets.crop_calendar import CropCalendar
from mmsits.datasets.polygons import (
    box_grid,
    cluster_plane,
    enlarged_box,
    patch_windows,
    published_steps,
    rasterise,
    resize_mask,
)
from mmsits.datasets.scene.grid import Grid

from .golden import Comparer, GoldenFile, register_check

CRS = 'EPSG:3857'


@register_check('cropmapping_rasterise')
def check_rasterise(golden: GoldenFile, compare: Comparer) -> None:
    """Ten polygons, the pixels of a square whose edges run through their centres, and dates of the calendar."""
    import shapely
    from affine import Affine
    from rasterio.crs import CRS as RasterCRS

    corners, offsets = golden.arrays['in/poly_xy'], golden.arrays['in/poly_offsets']
    shapes = np.array([shapely.Polygon(corners[a:b]) for a, b in pairwise(offsets)])
    centroids = shapely.get_coordinates(shapely.centroid(shapes))
    clusters = cluster_plane(centroids, 2000.0)
    compare('centroids', centroids)
    compare('cluster', clusters)
    bounds = np.array([shapely.total_bounds(shapes[clusters == number]) for number in range(clusters.max() + 1)])
    boxes = [enlarged_box(entry, 640.0) for entry in bounds]
    compare('bounds', bounds)
    compare('boxes', np.array(boxes))
    for number, box in enumerate(boxes):
        inside = rasterise(shapes[clusters == number], box_grid(box, CRS, 10.0))
        compare(f'mask_{number}', inside.astype(np.uint8) * 255)
    square = Grid(RasterCRS.from_user_input(CRS), Affine(10, 0, 0, 0, -10, 100), 10, 10)
    inside = rasterise([shapely.Polygon(golden.arrays['in/tie_poly'])], square)
    compare('tie_mask', inside.astype(np.uint8) * 255)
    for case in golden.meta['calendar_cases']:
        season = CropCalendar({case['crop']: {case['province']: case['jalali']}}, start_year=1400).season(
            case['crop'], case['province']
        )
        ours = [] if season is None else [date.isoformat() for date in season]
        compare.figure(f'calendar {case["crop"]} {case["province"]}', float(ours == case['gregorian']), 1.0)


def compare_polygon_outputs(golden: GoldenFile, compare: Comparer) -> None:
    """The outputs of `cropmapping_pipeline` that have to do with masks and patches."""
    lengths = golden.arrays['in/step_lengths'].tolist()
    compare('step_table', np.array([published_steps(length) for length in lengths]))
    table = [published_steps(length, overlapping=False) for length in lengths]
    compare('step_table_no_overlap', np.array(table))
    height, width = 100, 173
    windows = patch_windows((height, width), 64, 'published')
    rows, columns = np.array(list(windows)).max(axis=0) + 1
    first = [window.row * width + window.column for window in windows.values()]
    compare('patchify_topleft', np.array(first, np.int32).reshape(rows, columns))
    compare('patchify_shape', np.array([rows, columns, *next(iter(windows.values())).shape, 1]))
    mask = golden.arrays['in/mask']
    for name in ('down', 'up', 'same'):
        compare(f'mask_{name}', resize_mask(mask, golden.arrays[f'out/mask_{name}'].shape))
