"""Writing simulated regions in the layout of TimeMatch: pixel sets of parcels, one folder for each region.

Two regions with different ``temporal_shift_days`` make an adaptation task of which the answer is known.
"""

import json
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .landscape import PIXEL_SIZE
from .layouts import DESCRIPTION, SIMULATOR_VERSION, Progress, build_folder, write_json
from .region import CLASS_NAMES, VOID, RegionConfig, SimulatedRegion, simulate_region
from .spectra import BANDS

CODES: dict[int, str] = {
    1: 'PPH',
    2: 'BTH',
    3: 'MIS',
    4: 'ORH',
    5: 'CZH',
    6: 'ORP',
    7: 'TRN',
    8: 'VRC',
    9: 'BTN',
    10: 'TTH',
    13: 'PTC',
    15: 'SOJ',
    18: 'SOG',
}
"""Code of each crop in the French parcel register, by PASTIS number."""

BAND_ORDER = ('B02', 'B03', 'B04', 'B08', 'B05', 'B06', 'B07', 'B8A', 'B11', 'B12')
"""Order of the bands in TimeMatch's arrays: those of 10 m first."""
BLOCKS = 10
"""Blocks along each side of a region."""


def write_timematch(
    regions: RegionConfig | SimulatedRegion | Sequence[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    domains: Sequence[str] | None = None,
    min_pixels: int = 9,
    min_purity: float = 0.99,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write regions in the layout of TimeMatch (Nyborg et al. 2022), each as a domain.

    Files, for a domain ``country/tile/year``:

    - ``<domain>/data/<n>.zarr``: zarr format 2, uncompressed, uint16 (T, 10, S), reflectance times 10000 of the S
      pixels of parcel ``n``, bands in the order of ``BAND_ORDER``;
    - ``<domain>/meta/metadata.pkl``: dates, and for each parcel id, crop code, number of pixels, block and geometry;
    - ``SIMULATION/simulation.json``: configurations and known shifts; written last.

    Pixels that a parcel shares with its neighbours are left out, as the published polygons are shrunk. Parcels without
    a label are not written. The same call gives the same bytes.

    Args:
        regions: What to write; each must have the sensor 's2'.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        domains: Name of each region; None for france/SIM00/<year of harvest>, france/SIM01/… The codes are French.
        min_pixels: Parcels with fewer pixels are left out.
        min_purity: Least share of a pixel that its parcel takes, 0 to 1.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If names and regions do not go together, or a region has no Sentinel-2 or no parcel left.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    regions = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
    configs = [region.config if isinstance(region, SimulatedRegion) else region for region in regions]
    names = (
        [_default_name(config, number) for number, config in enumerate(configs)] if domains is None else list(domains)
    )
    _check(configs, names, min_pixels)
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'timematch',
        'domains': names,
        'min_pixels': min_pixels,
        'min_purity': min_purity,
        'configs': [config.to_dict() for config in configs],
    }

    def write(folder: Path) -> None:
        summaries = {}
        for item, name in zip(regions, names, strict=True):
            region = simulate_region(item) if isinstance(item, RegionConfig) else item
            summaries[name] = _write_domain(folder, name, region, min_pixels, min_purity, progress)
        write_json(folder / DESCRIPTION, {**description, 'regions': summaries}, indent=2)

    return build_folder(out_dir, description, overwrite, write)


def _default_name(config: RegionConfig, number: int) -> str:
    return f'france/SIM{number:02d}/{str(config.harvest_year_start)[:4]}'


def _check(configs: list[RegionConfig], names: list[str], min_pixels: int) -> None:
    if len(names) != len(configs) or len(set(names)) < len(names):
        raise ValueError(f'domains must be different names, one for each of {len(configs)} regions, not {names}.')
    wrong = [name for name in names if len([part for part in name.split('/') if part]) != 3]
    if wrong:
        raise ValueError(f'domains must be country/tile/year, not {wrong}.')
    if any('s2' not in config.sensors for config in configs):
        raise ValueError("the layout of TimeMatch needs the sensor 's2'.")
    if min_pixels < 1:
        raise ValueError(f'min_pixels must be 1 or more, not {min_pixels}.')


def _write_domain(
    folder: Path, name: str, region: SimulatedRegion, min_pixels: int, min_purity: float, progress: Progress | None
) -> dict[str, Any]:
    """Write the parcels of a region; return what is known of it."""
    parcels = _choose_parcels(region, min_pixels, min_purity)
    if not parcels:
        raise ValueError(f'{name}: no parcel has {min_pixels} pixels of its own; make the region or the fields larger.')
    data, meta = folder / name / 'data', folder / name / 'meta'
    data.mkdir(parents=True)
    meta.mkdir(parents=True)
    positions = np.concatenate(list(parcels.values()))
    # Acquisitions come one by one and parcels are wanted whole: in between everything lies on the disk.
    scratch = folder / 'scratch.npy'
    shape = (len(region.dates['s2']), len(BANDS), len(positions))
    values = np.lib.format.open_memmap(scratch, 'w+', np.uint16, shape)
    order = [BANDS.index(band) for band in BAND_ORDER]
    for index in range(shape[0]):
        if progress is not None:
            progress(f'{name}, s2', index, shape[0])
        image = region.s2_acquisition(index)[0].reshape(len(BANDS), -1)
        values[index] = image[order][:, positions]
    if progress is not None:
        progress(f'{name}, s2', shape[0], shape[0])
    rows, first = [], 0
    for number, (parcel, pixels) in enumerate(parcels.items()):
        _write_zarr(data / f'{number}.zarr', np.ascontiguousarray(values[:, :, first : first + len(pixels)]))
        rows.append(_describe_parcel(region, parcel, pixels))
        first += len(pixels)
    del values
    scratch.unlink()
    (meta / 'metadata.pkl').write_bytes(pickle.dumps(_metadata(region, rows), protocol=4))
    return _summary(region, list(parcels))


def _choose_parcels(region: SimulatedRegion, min_pixels: int, min_purity: float) -> dict[int, NDArray[np.int64]]:
    """Parcel number to the flat positions of its pixels, for those that are written."""
    own = np.where(region.purity >= min_purity, region.parcel_ids, 0).ravel()
    order = np.argsort(own, kind='stable')
    numbers, starts = np.unique(own[order], return_index=True)
    groups = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
    return {
        parcel: pixels
        for parcel, pixels in groups.items()
        if parcel and len(pixels) >= min_pixels and region.parcel_label[parcel] != VOID
    }


def _write_zarr(path: Path, values: NDArray[np.uint16]) -> None:
    """Write an array in zarr's format 2: a description and one chunk."""
    path.mkdir()
    description = {
        'zarr_format': 2,
        'shape': values.shape,
        'chunks': values.shape,
        'dtype': '<u2',
        'compressor': None,
        'fill_value': 0,
        'filters': None,
        'order': 'C',
    }
    (path / '.zarray').write_text(json.dumps(description, indent=4), encoding='utf-8')
    (path / '.'.join('0' * values.ndim)).write_bytes(values.astype('<u2').tobytes())


def _describe_parcel(region: SimulatedRegion, parcel: int, pixels: NDArray[np.int64]) -> dict[str, Any]:
    rows, columns = np.unravel_index(pixels, region.parcel_ids.shape)
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    mask = np.zeros((height + 2, width + 2), dtype=np.int8)
    mask[rows - rows.min() + 1, columns - columns.min() + 1] = 1
    edges = sum(np.abs(ndimage.convolve1d(mask, [1, -1], axis=axis, mode='constant')).sum() for axis in (0, 1))
    perimeter, area = float(edges) * PIXEL_SIZE, float(len(pixels)) * PIXEL_SIZE**2
    block = [
        int(np.mean(place) * BLOCKS // size) for place, size in zip((rows, columns), region.label.shape, strict=True)
    ]
    return {
        'id': int(parcel),
        'label': CODES[int(region.parcel_label[parcel])],
        'n_pixels': len(pixels),
        'block': block[0] * BLOCKS + block[1],
        'geometric_features': [perimeter, area, perimeter / area, len(pixels) / (height * width)],
    }


def _metadata(region: SimulatedRegion, parcels: list[dict[str, Any]]) -> dict[str, Any]:
    dates = region.dates['s2']
    cover = region.weather.cloud_cover[(dates - region.weather.first_day).astype(int)]
    return {
        'start_date': str(region.config.first_day).replace('-', ''),
        'end_date': str(region.config.last_day).replace('-', ''),
        'dates': [int(str(date).replace('-', '')) for date in dates],
        'cloudy_pct': [round(float(share) * 100, 2) for share in cover],
        'parcels': parcels,
    }


def _summary(region: SimulatedRegion, parcels: list[int]) -> dict[str, Any]:
    labels = [int(region.parcel_label[parcel]) for parcel in parcels]
    wrong = [number for number, parcel in enumerate(parcels) if labels[number] != region.parcel_class[parcel]]
    return {
        'temporal_shift_days': region.config.temporal_shift_days,
        'shift_days_by_class': {CLASS_NAMES[number]: shift for number, shift in region.known_shift_days.items()},
        'parcels': len(parcels),
        'parcels_by_class': {CLASS_NAMES[number]: labels.count(number) for number in sorted(set(labels))},
        'parcels_with_wrong_label': wrong,
        'dates': [str(date) for date in region.dates['s2']],
    }
