"""From polygons of fields to regions, masks and patches."""

from .fields import find_files, read_fields
from .masks import CROP, OTHER, UNLABELLED, FieldMasks, rasterise, resize_mask
from .patches import (
    PatchSteps,
    clean_pixels,
    cut_image,
    cut_region,
    encode_raster,
    patch_name,
    patch_windows,
    published_steps,
    read_raster,
)
from .regions import (
    Region,
    RegionOptions,
    SkippedRegions,
    box_grid,
    cluster_plane,
    cluster_sphere,
    connected_regions,
    enlarged_box,
    make_regions,
    snapped_box,
    split_regions,
)
from .tables import RegionBox, encode_workbook, read_regions, write_geopackage

__all__ = [
    'CROP',
    'OTHER',
    'UNLABELLED',
    'FieldMasks',
    'PatchSteps',
    'Region',
    'RegionBox',
    'RegionOptions',
    'SkippedRegions',
    'box_grid',
    'clean_pixels',
    'cluster_plane',
    'cluster_sphere',
    'connected_regions',
    'cut_image',
    'cut_region',
    'encode_raster',
    'encode_workbook',
    'enlarged_box',
    'find_files',
    'make_regions',
    'patch_name',
    'patch_windows',
    'published_steps',
    'rasterise',
    'read_fields',
    'read_raster',
    'read_regions',
    'resize_mask',
    'snapped_box',
    'split_regions',
    'write_geopackage',
]
