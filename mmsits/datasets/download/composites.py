"""What is made of the scenes of a month: means of radar by orbit, medians of cloudless optical images.

The rules are CropMapping's (Rangzan and Ramezanpour), which had them computed by Google Earth Engine.
"""

from __future__ import annotations

import datetime
import itertools
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..scene.grid import Grid
from .catalogue import Scene

S1_BANDS = ('VV', 'VH')
S2_BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
_COMMON_NAMES = dict(
    B02='blue',
    B03='green',
    B04='red',
    B05='rededge1',
    B06='rededge2',
    B07='rededge3',
    B08='nir',
    B8A='nir08',
    B11='swir16',
    B12='swir22',
)
PUBLISHED_MASK = (8, 9, 11)
"""Clouds of medium and high probability, snow."""
DEFAULT_MASK = (1, 3, 8, 9, 10, 11)
"""These, and defective pixels, cloud shadow and thin cirrus."""
_NO_DATA = 0
_SCALE = 1e-4
"""Reflectance of a stored number of 1 of Sentinel-2."""
_OFFSET_SINCE, _OFFSET_FROM = 4.0, datetime.date(2022, 1, 25)
"""Processing baseline from which stored numbers are higher by 1000, and the day it came into use."""
_BASELINE = re.compile(r'_N(\d\d)(\d\d)_')
"""In names of products: N0400 is baseline 04.00."""
_REMOTE_SETTINGS = dict(
    # Looking for companion files beside each image costs more requests than the image itself.
    GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR',
    GDAL_HTTP_MAX_RETRY='3',
    GDAL_HTTP_RETRY_DELAY='2',
)
"""For images that are no local files, where the environment does not say otherwise."""


class SourceError(DataError):
    """A file of the catalogue that could not be read; trying again may help."""


def read_band(address: str, grid: Grid, nearest: bool = False, nodata: float | None = None) -> np.ndarray:
    """A band of an image on other pixels.

    Args:
        address: file or URL.
        grid: the pixels wanted. Bilinear where the image's own are others.
        nearest: take the nearest pixel instead, as for codes.
        nodata: number that stands for no value, where the file names none.

    Returns:
        (H, W) float32, NaN where the image has no value.

    Raises:
        SourceError: if the file cannot be read to its end.
        DataError: if it has no CRS, as radar images that were not terrain corrected.
    """
    import rasterio
    from rasterio.enums import MaskFlags, Resampling
    from rasterio.errors import RasterioError
    from rasterio.vrt import WarpedVRT

    try:
        with rasterio.Env(**_settings(address)), rasterio.open(address) as file:
            if file.crs is None:
                raise DataError(
                    'the image has no coordinate reference system',
                    path=address,
                    hint='Take a collection of terrain-corrected images (sentinel-1-rtc).',
                )
            known = nodata if file.nodata is None else file.nodata
            # An image's own mask or alpha band tells what it has seen, unless a number does.
            own_alpha = MaskFlags.alpha in file.mask_flag_enums[0]
            marks = dict(add_alpha=not own_alpha) if known is None else dict(src_nodata=known, nodata=known)
            with WarpedVRT(
                file,
                crs=grid.crs,
                transform=grid.transform,
                width=grid.width,
                height=grid.height,
                resampling=Resampling.nearest if nearest else Resampling.bilinear,
                **marks,
            ) as warped:
                values = warped.read(1)
                seen = warped.dataset_mask() != 0
    except (RasterioError, OSError) as error:
        raise SourceError(f'the image cannot be read ({error})', path=address, hint='It is tried again.') from error
    result = values.astype(np.float32)
    result[~seen] = np.nan
    return result


def _settings(address: str) -> dict[str, str]:
    """Settings of GDAL to read an image with."""
    remote = address.startswith('/vsi') or ('://' in address and not address.startswith('file://'))
    return {name: value for name, value in _REMOTE_SETTINGS.items() if remote and name not in os.environ}


def asset_of(scene: Scene, names: Sequence[str]) -> str:
    """The name of an asset that goes by any of some names.

    Raises:
        DataError: if the scene has none of them.
    """
    found = next((name for name in names if name in scene.assets), None)
    if found is None:
        raise DataError(
            f'no asset {" or ".join(names)}, there are {sorted(scene.assets)}',
            sample_id=scene.name,
            hint='Name another collection.',
        )
    return found


def choose_radar_scenes(scenes: Sequence[Scene], place: Any) -> list[Scene]:
    """The scenes of one direction of flight, in the published order of preference.

    Ascending ones that hold the place, descending ones that do, ascending ones that touch it, descending ones; of
    scenes in interferometric wide swath mode that have VV and VH.

    Args:
        scenes: those of a window.
        place: shapely geometry, degrees.

    Returns:
        The scenes of the first kind that there are; may be none.

    Raises:
        DataError: if no scene says in which direction it was taken.
    """
    wide = [
        scene
        for scene in scenes
        if scene.properties.get('sar:instrument_mode', 'IW') == 'IW'
        and set(S1_BANDS) <= set(scene.properties.get('sar:polarizations', S1_BANDS))
    ]
    if wide and not any('sat:orbit_state' in scene.properties for scene in wide):
        raise DataError(
            'the radar images do not say whether they were taken ascending or descending (sat:orbit_state)',
            sample_id=wide[0].name,
            hint='Name another collection.',
        )
    for whole, direction in itertools.product((True, False), ('ascending', 'descending')):
        chosen = [
            scene
            for scene in wide
            if str(scene.properties.get('sat:orbit_state', '')).lower() == direction
            and (scene.footprint.contains(place) if whole else scene.footprint.intersects(place))
        ]
        if chosen:
            return chosen
    return []


class RadarComposites:
    """Backscatter of a window, decibel: the temporal mean of powers of each relative orbit, one orbit over the other.

    The orbit with most scenes is on top; published code lays them in an order that nobody knows.

    Args:
        collection: of the catalogue.
        unit: of its images, 'power' or 'decibel'.

    Raises:
        ValueError: if the unit is unknown.
    """

    sensor = 's1'
    bands = S1_BANDS

    def __init__(self, collection: str = 'sentinel-1-rtc', unit: str = 'power') -> None:
        if unit not in ('power', 'decibel'):
            raise ValueError(f"the unit of radar images must be 'power' or 'decibel', not {unit!r}")
        self.collection, self.unit = collection, unit

    def choose(self, scenes: Sequence[Scene], place: Any) -> list[Scene]:
        """See :func:`choose_radar_scenes`."""
        return choose_radar_scenes(scenes, place)

    def compose(self, scenes: Sequence[Scene], grid: Grid) -> np.ndarray:
        """(2, H, W) float32, VV and VH, NaN where nothing was observed."""
        orbits: dict[Any, list[Scene]] = {}
        for scene in scenes:
            orbits.setdefault(scene.properties.get('sat:relative_orbit'), []).append(scene)
        composite = np.full((len(self.bands), *grid.shape), np.nan, np.float32)
        for orbit in sorted(orbits, key=lambda number: (len(orbits[number]), str(number))):
            mean = np.stack([self._mean(orbits[orbit], band, grid) for band in self.bands])
            composite = np.where(np.isnan(mean).any(axis=0), composite, mean)
        return composite

    def _mean(self, scenes: Sequence[Scene], band: str, grid: Grid) -> np.ndarray:
        total, count = np.zeros(grid.shape), np.zeros(grid.shape, np.int64)
        for scene in scenes:
            address = scene.assets[asset_of(scene, (band, band.lower()))]
            # 0 is no power, and no mark in decibels.
            nodata = _NO_DATA if self.unit == 'power' else None
            values = read_band(address, grid, nodata=nodata).astype(np.float64)
            power = 10 ** (values / 10) if self.unit == 'decibel' else values
            # Borders of radar images may hold powers of 0 beside another mark.
            seen = np.isfinite(power) & (power > 0)
            total[seen] += power[seen]
            count += seen
        with np.errstate(invalid='ignore', divide='ignore'):
            return (10 * np.log10(total / count)).astype(np.float32)


class OpticalComposites:
    """Surface reflectance of a window: the median of what the scene classification leaves, pixel by pixel.

    Args:
        collection: of the catalogue.
        masked: codes of the scene classification that are left out, 0 (no data) always.
        offset: what is taken off the stored numbers of all scenes; None for what the catalogue tells of each.
    """

    sensor = 's2'
    bands = S2_BANDS

    def __init__(
        self, collection: str = 'sentinel-2-l2a', masked: Sequence[int] = DEFAULT_MASK, offset: float | None = None
    ) -> None:
        self.collection, self.masked, self.offset = collection, (_NO_DATA, *masked), offset

    def choose(self, scenes: Sequence[Scene], place: Any) -> list[Scene]:
        """All but those that are clouds alone."""
        return [scene for scene in scenes if float(scene.properties.get('eo:cloud_cover') or 0) < 100]

    def compose(self, scenes: Sequence[Scene], grid: Grid) -> np.ndarray:
        """(10, H, W) float32, NaN where nothing was seen."""
        clear = [self._clear(scene, grid) for scene in scenes]
        used = [(scene, seen) for scene, seen in zip(scenes, clear, strict=True) if seen.any()]
        return np.stack([self._median(used, band, grid) for band in self.bands])

    def _clear(self, scene: Scene, grid: Grid) -> np.ndarray:
        names = ('SCL', 'scl', 'SCL_20m')
        codes = read_band(scene.assets[asset_of(scene, names)], grid, nearest=True, nodata=_NO_DATA)
        return np.isfinite(codes) & ~np.isin(codes, self.masked)

    def _median(self, scenes: Sequence[tuple[Scene, np.ndarray]], band: str, grid: Grid) -> np.ndarray:
        if not scenes:
            return np.full(grid.shape, np.nan, np.float32)
        names = (band, band.replace('B0', 'B'), _COMMON_NAMES[band], f'{band}_10m', f'{band}_20m')
        stack = np.empty((len(scenes), *grid.shape), np.float32)
        for index, (scene, seen) in enumerate(scenes):
            asset = asset_of(scene, names)
            values = read_band(scene.assets[asset], grid, nodata=_NO_DATA)
            scale = scene.scalings.get(asset, (_SCALE, 0.0))[0]
            offset = stored_offset(scene, asset) if self.offset is None else self.offset
            stack[index] = np.where(seen, (values - offset) * scale, np.nan)
        seen_once = np.isfinite(stack).any(axis=0)
        # The median of nothing is NaN too, with a warning.
        return np.nanmedian(np.where(seen_once, stack, 0), axis=0).astype(np.float32) + np.where(seen_once, 0, np.nan)


def stored_offset(scene: Scene, asset: str) -> float:
    """What was added to the stored numbers of an asset of a Sentinel-2 scene.

    1000 from processing baseline 04.00 (January 2022) on, unless the catalogue says that it was taken off: by
    `earthsearch:boa_offset_applied`, or by an offset of its own. Before, 0, whatever the catalogue says: Earth Search
    writes -0.1 for all scenes. Where the baseline is not told, the catalogue's offset counts.

    Raises:
        DataError: if nothing tells it for a scene of a time when it may have been added.
    """
    if scene.properties.get('earthsearch:boa_offset_applied'):
        return 0.0
    scale, shift = scene.scalings.get(asset, (_SCALE, None))
    told = None if shift is None else round(-shift / scale, 3) + 0.0
    baseline = _baseline(scene)
    if baseline is not None and baseline < _OFFSET_SINCE:
        return 0.0
    if told is not None:
        return told
    if baseline is None and scene.date < _OFFSET_FROM:
        return 0.0
    if baseline is None:
        raise DataError(
            'the catalogue tells neither the processing baseline (s2:processing_baseline) nor an offset, so nobody '
            'knows whether 1000 was added to the stored numbers',
            sample_id=scene.name,
            hint='Say what to take off: --s2-offset 1000, or 0.',
        )
    return 1000.0


def _baseline(scene: Scene) -> float | None:
    """Processing baseline: as a property, or as in names of products."""
    for name in ('s2:processing_baseline', 'processing:version'):
        try:
            return float(scene.properties[name])
        except (KeyError, TypeError, ValueError):
            continue
    found = _BASELINE.search(str(scene.properties.get('s2:product_uri', ''))) or _BASELINE.search(scene.name)
    return None if found is None else float(f'{found[1]}.{found[2]}')
