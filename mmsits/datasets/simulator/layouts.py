"""Writing simulated regions to disk in the layouts of public data sets.

A data set is built in a temporary folder next to its place
and renamed at the end: it is either there as a whole or not at all.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .landscape import PIXEL_SIZE
from .region import CLASS_NAMES, VOID, RegionConfig, SimulatedRegion, simulate_region
from .sensors import CHANNELS, DATA_TYPES
from .weather import CLOUD_COVERED, SHADOW

SIMULATOR_VERSION = 1
"""Raised whenever the same configuration gives other values than before."""
DESCRIPTION = Path('SIMULATION') / 'simulation.json'
"""The file, written last, that describes a finished data set."""
COORDINATES = 'urn:ogc:def:crs:EPSG::2154'
"""Lambert-93, the projection of PASTIS."""
ORIGIN = (650_000.0, 6_860_000.0)
"""Easting and northing of the upper left corner of the first region, m."""
FIRST_PATCH = 10_000

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done and steps in all."""


@dataclass(frozen=True)
class _Patch:
    number: int
    fold: int
    top: int
    left: int


def write_pastis(
    regions: RegionConfig | SimulatedRegion | Sequence[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    patch_size: int = 128,
    folds: int = 5,
    patches: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write regions in the layout of PASTIS (Garnot and Landrieu 2021) and PASTIS-R.

    Files, for a patch with the number ``id``:

    - ``DATA_S2/S2_<id>.npy``: int16 (T, 10, H, W), reflectance times 10000;
    - ``DATA_S1A/S1A_<id>.npy``, ``DATA_S1D/S1D_<id>.npy``: float16 (T, 3, H, W), VV, VH, VV - VH in dB;
    - ``ANNOTATIONS/TARGET_<id>.npy``: uint8 (3, H, W); channel 0 is the label, the others repeat it;
    - ``ANNOTATIONS/ParcelIDs_<id>.npy``: int32 (H, W), 0 outside parcels;
    - ``metadata.geojson``: dates, fold and place of the patches;
    - ``NORM_S2_patch.json`` etc.: mean and standard deviation of the channels by fold;
    - ``SIMULATION/truth_<id>.npz``: ``true_class`` uint8 (H, W), ``purity`` float16 (H, W), ``ndvi`` float16
      (T, H, W) without noise and clouds, and ``cloud`` and ``shadow``, packed bits of (T, H, W);
    - ``SIMULATION/simulation.json``: configuration and known shifts; written last.

    Patches are cut from a region without overlap; what is left at the lower and right edge is not
    written. Folds are compact groups of patches of nearly equal number; parcels that nevertheless
    lie in two folds are counted in ``simulation.json``. The same call gives the same bytes.

    Args:
        regions: What to write; regions lie side by side and have tiles of their own.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        patch_size: Side of the patches, pixels.
        folds: Number of folds, 1 or more.
        patches: Most patches to write of each region; None for as many as fit.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If a region has no room for one patch per fold.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    regions = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
    configs = [region.config if isinstance(region, SimulatedRegion) else region for region in regions]
    plans = plan_patches(configs, patch_size, folds, patches)
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'pastis',
        'patch_size': patch_size,
        'folds': folds,
        'patches': patches,
        'configs': [config.to_dict() for config in configs],
    }

    def write(folder: Path) -> None:
        _write(folder, regions, plans, patch_size, description, progress or (lambda what, done, total: None))

    return build_folder(out_dir, description, overwrite, write)


def build_folder(
    out_dir: str | os.PathLike[str],
    description: dict[str, Any],
    overwrite: bool,
    write: Callable[[Path], None],
) -> Path:
    """Write a data set in a temporary folder and put it in its place when it is complete.

    Args:
        out_dir: Its place.
        description: What tells it from other data sets; ``write`` puts it into ``DESCRIPTION``.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        write: Called with the folder to write in.

    Returns:
        The folder; if it holds a data set with this description already, ``write`` was not called.

    Raises:
        FileExistsError: If ``out_dir`` holds anything else.
    """
    out_dir = Path(out_dir)
    if _is_finished(out_dir, description):
        return out_dir
    _check_free(out_dir, overwrite)
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    work_dir = Path(tempfile.mkdtemp(prefix=f'.{out_dir.name}-', dir=out_dir.parent))
    try:
        write(work_dir)
        _put_in_place(work_dir, out_dir, description)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)
    return out_dir


def is_finished(out_dir: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a complete simulated data set."""
    return (Path(out_dir) / DESCRIPTION).is_file()


def _is_finished(out_dir: Path, description: dict[str, Any]) -> bool:
    if not is_finished(out_dir):
        return False
    found = json.loads((out_dir / DESCRIPTION).read_text(encoding='utf-8'))
    return all(found.get(name) == value for name, value in json.loads(json.dumps(description)).items())


def _check_free(out_dir: Path, overwrite: bool) -> None:
    if not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir())):
        return
    if not is_finished(out_dir):
        raise FileExistsError(f'{out_dir} exists and is not a simulated data set; choose another folder.')
    if not overwrite:
        raise FileExistsError(
            f'{out_dir} holds a data set simulated with other options; choose another folder or ask to overwrite it.'
        )


def _put_in_place(work_dir: Path, out_dir: Path, description: dict[str, Any]) -> None:
    # mkdtemp makes folders for the owner only; a data set is as readable as any other folder.
    mask = os.umask(0)
    os.umask(mask)
    work_dir.chmod(0o777 & ~mask)
    if out_dir.exists():
        if any(out_dir.iterdir()):
            out_dir.rename(work_dir.with_name(work_dir.name + '-old'))
        else:
            out_dir.rmdir()
    try:
        work_dir.rename(out_dir)
    except OSError:
        # Somebody else wrote the same data set in the meantime.
        if not _is_finished(out_dir, description):
            raise
    shutil.rmtree(work_dir.with_name(work_dir.name + '-old'), ignore_errors=True)


def plan_patches(configs: list[RegionConfig], patch_size: int, folds: int, patches: int | None) -> list[list[_Patch]]:
    """Place, number and fold of the patches of every region."""
    if patch_size < 1 or folds < 1 or (patches is not None and patches < 1):
        raise ValueError(f'patch_size, folds and patches must be 1 or more, not {patch_size}, {folds}, {patches}.')
    plans: list[list[_Patch]] = []
    number = FIRST_PATCH
    for config in configs:
        rows, columns = config.height // patch_size, config.width // patch_size
        places = [(row, column) for row in range(rows) for column in range(columns)][:patches]
        if len(places) < folds:
            raise ValueError(
                f'A region of {config.height} x {config.width} pixels gives {len(places)} patches of {patch_size}'
                f' pixels: too few for {folds} folds.'
            )
        fold_of_place: dict[tuple[int, int], int] = {}
        _split_folds(places, 1, folds, fold_of_place)
        plan = []
        for place in places:
            plan.append(_Patch(number, fold_of_place[place], place[0] * patch_size, place[1] * patch_size))
            number += 1
        plans.append(plan)
    return plans


def _split_folds(
    places: list[tuple[int, int]], first: int, count: int, fold_of_place: dict[tuple[int, int], int]
) -> None:
    """Halve the group across its longer side until each part is one fold."""
    if count == 1:
        fold_of_place.update(dict.fromkeys(places, first))
        return
    extents = [max(p[axis] for p in places) - min(p[axis] for p in places) for axis in (0, 1)]
    axis = int(extents[1] > extents[0])
    places = sorted(places, key=lambda place: (place[axis], place[1 - axis]))
    half = count // 2
    cut = round(len(places) * half / count)
    _split_folds(places[:cut], first, half, fold_of_place)
    _split_folds(places[cut:], first + half, count - half, fold_of_place)


def _write(
    folder: Path,
    regions: list[RegionConfig | SimulatedRegion],
    plans: list[list[_Patch]],
    patch_size: int,
    description: dict[str, Any],
    progress: Progress,
) -> None:
    features: list[dict[str, Any]] = []
    moments: dict[str, list[tuple[int, NDArray, NDArray]]] = {}
    summaries = []
    easting = ORIGIN[0]
    for number, (item, plan) in enumerate(zip(regions, plans, strict=True)):
        region = simulate_region(item) if isinstance(item, RegionConfig) else item
        name = f'region {number + 1} of {len(regions)}'
        features += _features(region, plan, patch_size, f't{number:02d}', easting)
        _write_annotations(folder, region, plan, patch_size)
        truth = _Truth(folder, plan, patch_size)
        for sensor in region.dates:
            moments.setdefault(sensor, []).extend(
                _write_sensor(folder, region, sensor, plan, patch_size, truth, f'{name}, {sensor}', progress)
            )
        truth.write(region)
        summaries.append(_summary(region, plan, patch_size))
        # A gap keeps regions apart on the map.
        easting += PIXEL_SIZE * (region.config.width + 1000)
    document = {
        'type': 'FeatureCollection',
        'name': 'metadata',
        'crs': {'type': 'name', 'properties': {'name': COORDINATES}},
        'features': features,
    }
    write_json(folder / 'metadata.geojson', document)
    for sensor, values in moments.items():
        write_json(folder / f'NORM_{sensor.upper()}_patch.json', _normalisation(values))
    class_names = {str(key): value for key, value in sorted(CLASS_NAMES.items())}
    write_json(folder / DESCRIPTION, {**description, 'class_names': class_names, 'regions': summaries}, indent=2)


def write_json(path: Path, document: dict[str, Any], indent: int | None = None) -> None:
    """Write a document, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=indent) + '\n', encoding='utf-8')


def patch_window(patch: _Patch, size: int) -> tuple[slice, slice]:
    """Return the rows and columns of a patch in its region."""
    return slice(patch.top, patch.top + size), slice(patch.left, patch.left + size)


def _features(
    region: SimulatedRegion, plan: list[_Patch], size: int, tile: str, easting: float
) -> list[dict[str, Any]]:
    dates = {
        f'dates-{sensor.upper()}': {str(i): int(str(date).replace('-', '')) for i, date in enumerate(values)}
        for sensor, values in region.dates.items()
    }
    features = []
    for patch in plan:
        parcels = region.parcel_ids[patch_window(patch, size)]
        west, north = easting + PIXEL_SIZE * patch.left, ORIGIN[1] - PIXEL_SIZE * patch.top
        east, south = west + PIXEL_SIZE * size, north - PIXEL_SIZE * size
        properties: dict[str, Any] = {
            'ID_PATCH': patch.number,
            'Fold': patch.fold,
            'TILE': tile,
            'N_Parcel': len(np.setdiff1d(parcels, [0])),
            'Parcel_Cover': round(float((parcels > 0).mean()), 6),
            **dates,
        }
        ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
        geometry = {'type': 'Polygon', 'coordinates': [ring]}
        features.append({'type': 'Feature', 'id': str(patch.number), 'properties': properties, 'geometry': geometry})
    return features


def _write_annotations(folder: Path, region: SimulatedRegion, plan: list[_Patch], size: int) -> None:
    target_dir = folder / 'ANNOTATIONS'
    target_dir.mkdir(exist_ok=True)
    for patch in plan:
        window = patch_window(patch, size)
        label = region.label[window]
        np.save(target_dir / f'TARGET_{patch.number}.npy', np.stack([label, label, label]))
        np.save(target_dir / f'ParcelIDs_{patch.number}.npy', np.ascontiguousarray(region.parcel_ids[window]))


class _Truth:
    """The known truth of the patches, gathered date by date."""

    def __init__(self, folder: Path, plan: list[_Patch], size: int) -> None:
        self.folder = folder / 'SIMULATION'
        self.folder.mkdir(exist_ok=True)
        self.plan, self.size = plan, size
        self.masks: dict[int, list[NDArray]] = {patch.number: [] for patch in plan}
        self.ndvi: dict[int, list[NDArray]] = {patch.number: [] for patch in plan}

    def add(self, mask: NDArray[np.uint8], ndvi: NDArray[np.float32]) -> None:
        for patch in self.plan:
            window = patch_window(patch, self.size)
            self.masks[patch.number].append(mask[window].copy())
            self.ndvi[patch.number].append(ndvi[window].astype(np.float16))

    def write(self, region: SimulatedRegion) -> None:
        for patch in self.plan:
            window = patch_window(patch, self.size)
            arrays: dict[str, NDArray] = {
                'true_class': region.true_class[window],
                'purity': region.purity[window].astype(np.float16),
            }
            if self.ndvi[patch.number]:
                arrays['ndvi'] = np.stack(self.ndvi[patch.number])
                mask = np.stack(self.masks[patch.number])
                arrays['cloud'], arrays['shadow'] = np.packbits(mask == CLOUD_COVERED), np.packbits(mask == SHADOW)
            np.savez_compressed(self.folder / f'truth_{patch.number}.npz', allow_pickle=False, **arrays)


def _write_sensor(
    folder: Path,
    region: SimulatedRegion,
    sensor: str,
    plan: list[_Patch],
    size: int,
    truth: _Truth,
    what: str,
    progress: Progress,
) -> list[tuple[int, NDArray, NDArray]]:
    """Write the patches of a sensor date by date; return fold, mean and standard deviation of each."""
    name = sensor.upper()
    (folder / f'DATA_{name}').mkdir(exist_ok=True)
    shape = (len(region.dates[sensor]), len(CHANNELS[sensor]), size, size)
    paths = [folder / f'DATA_{name}' / f'{name}_{patch.number}.npy' for patch in plan]
    for path in paths:
        np.lib.format.open_memmap(path, 'w+', DATA_TYPES[sensor], shape)
    for index in range(shape[0]):
        progress(what, index, shape[0])
        if sensor == 's2':
            image, mask = region.s2_acquisition(index)
            truth.add(mask, region.ndvi(region.dates['s2'][index])[0])
        else:
            image = region.acquisition(sensor, index)
        for patch, path in zip(plan, paths, strict=True):
            rows, columns = patch_window(patch, size)
            # One file open at a time: a large region has more patches than a process may have open files.
            np.load(path, mmap_mode='r+')[index] = image[:, rows, columns]
    progress(what, shape[0], shape[0])
    moments = []
    for patch, path in zip(plan, paths, strict=True):
        numbers = np.load(path).astype(np.float64)
        axes = (0, 2, 3)
        moments.append((patch.fold, numbers.mean(axes), numbers.std(axes, ddof=1)))
    return moments


def _normalisation(moments: list[tuple[int, NDArray, NDArray]]) -> dict[str, dict[str, list[float]]]:
    """Mean over the patches of a fold of their means and standard deviations, as in PASTIS."""
    result = {}
    for fold in sorted({fold for fold, _, _ in moments}):
        mean = np.mean([mean for number, mean, _ in moments if number == fold], axis=0)
        deviation = np.mean([deviation for number, _, deviation in moments if number == fold], axis=0)
        result[f'Fold_{fold}'] = {'mean': mean.tolist(), 'std': deviation.tolist()}
    return result


def _summary(region: SimulatedRegion, plan: list[_Patch], size: int) -> dict[str, Any]:
    """What is known of a region, for ``simulation.json``."""
    folds_of_parcel: dict[int, set[int]] = {}
    for patch in plan:
        for parcel in np.unique(region.parcel_ids[patch_window(patch, size)]):
            folds_of_parcel.setdefault(int(parcel), set()).add(patch.fold)
    folds_of_parcel.pop(0, None)
    changed = (region.parcel_label != region.parcel_class) & (region.parcel_label != VOID)
    return {
        'temporal_shift_days': region.config.temporal_shift_days,
        'shift_days_by_class': {str(number): shift for number, shift in region.known_shift_days.items()},
        'parcels': len(folds_of_parcel),
        'parcels_in_two_folds': sum(len(folds) > 1 for folds in folds_of_parcel.values()),
        'parcels_with_wrong_label': sorted(set(np.flatnonzero(changed).tolist()) & set(folds_of_parcel)),
        'patches': {str(patch.number): {'row': patch.top, 'column': patch.left} for patch in plan},
        'dates': {sensor: [str(date) for date in dates] for sensor, dates in region.dates.items()},
    }


class ProgressPrinter:
    """Prints what is done, how far it is and how long it will still take, at most once a second.

    Args:
        print_line: Called with each line.
    """

    def __init__(self, print_line: Callable[[str], None] = print) -> None:
        self._print = print_line
        self._what = ''
        self._start = self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of ``done`` of ``total`` dates of ``what`` and print a line if it is time."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._start, self._last = what, now, now
            return
        if done < total and now - self._last < 1.0:
            return
        self._last = now
        left = (now - self._start) / max(done, 1) * (total - done)
        rest = f'about {left:.0f} s left' if done < total else f'done in {now - self._start:.1f} s'
        self._print(f'{what}: {done} of {total} dates, {rest}')
