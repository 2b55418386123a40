"""From a trained network's config and folders named on the command line to the description of a scene."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsits.apis.scene_inputs import dataset_config, wanted_bands
from mmsits.engine.errors import ConfigError


def scene_config(
    cfg: Config,
    meta: Mapping[str, Any],
    folders: Mapping[str, str | Path] | None = None,
    options: Mapping[str, Any] | None = None,
    grid: Any = None,
) -> dict[str, Any]:
    """Describe a scene as `mmsits.datasets.scene.open_scene` wants it; paths are relative to the working directory.

    How files are named and what they hold (pattern, bands, nodata, clouds …) is taken from the config's own
    `SceneDataset`, where it has one; the unit, where nothing says it, from the checkpoint.

    Args:
        cfg: of the network.
        meta: what is known of its training data.
        folders: folder of each sensor, or the one file that holds its whole series. Without any, the scene is that of
            the config.
        options: further options of sensors that replace those of the config, nested or with dots in their names:
            `{'s2': {'nodata': 0}}` or `{'s2.nodata': 0}`.
        grid: sensor whose grid is the scene's, or what else `open_scene` takes; None for that of the config, or of the
            first sensor.

    Returns:
        `sensors` and, where it is known, `grid`.

    Raises:
        ConfigError: if no scene is named.
    """
    dataset = dict(dataset_config(cfg))
    described = dataset.get('sensors') if isinstance(dataset.get('sensors'), Mapping) else {}
    root = Path(dataset.get('data_root') or '')
    given = dict(folders or {})
    if not given and not described:
        raise ConfigError('no scene is named: give a folder for each sensor (--s2 FOLDER, --sensor NAME=FOLDER)')
    own = {name: _rooted(sensor, root) for name, sensor in described.items()} if described else {}
    names = list(given) if given else list(own)
    sensors = {name: _moved(own.get(name, {}), given[name]) if name in given else own[name] for name in names}
    for name, values in _nested(options or {}).items():
        if name not in sensors:
            raise ConfigError(f'options for the sensor {name!r}, but the scene has {", ".join(sensors)}')
        sensors[name] = _merged(sensors[name], values)
    units = meta.get('units') or {}
    for name, sensor in sensors.items():
        if name in units:
            sensor.setdefault('unit', units[name])
        bands = wanted_bands(cfg, meta, name)
        if bands is not None and name not in own and not {'bands', 'band_names'} & sensor.keys():
            sensor['bands'] = tuple(bands)
    return dict(sensors=sensors, **_grid(grid, dataset.get('grid'), sensors, root, moved=bool(given)))


def _grid(wanted: Any, described: Any, sensors: Mapping[str, Any], root: Path, moved: bool) -> dict[str, Any]:
    if wanted is not None:
        return dict(grid=wanted)
    if isinstance(described, str) and described in sensors:
        return dict(grid=described)
    if described is None or moved or isinstance(described, str):
        # A grid that lies elsewhere does not hold for other folders.
        return {}
    if isinstance(described, Mapping) and 'file' in described:
        return dict(grid={**described, 'file': str(root / described['file'])})
    return dict(grid=described)


def _rooted(sensor: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Options of a sensor, with folders that start from the working directory rather than from the dataset's root."""
    own = copy.deepcopy(dict(sensor))
    own['folder'] = str(root / own.get('folder', '.'))
    if own.get('clouds') and 'folder' in own['clouds']:
        own['clouds'] = {**own['clouds'], 'folder': str(root / own['clouds']['folder'])}
    return own


def _moved(sensor: Mapping[str, Any], place: str | Path) -> dict[str, Any]:
    """Options of a sensor whose files lie elsewhere; its clouds lie beside them as they did before."""
    own, place = dict(sensor), Path(place)
    before = own.get('folder')
    if place.is_file():
        own |= dict(folder=str(place.parent), file=place.name)
    else:
        own['folder'] = str(place)
    if own.get('clouds') and 'folder' in own['clouds'] and before is not None:
        beside = os.path.relpath(own['clouds']['folder'], before)
        own['clouds'] = {**own['clouds'], 'folder': os.path.normpath(os.path.join(own['folder'], beside))}
    return own


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with dots in their names as nested dicts."""
    nested: dict[str, Any] = {}
    for name, value in options.items():
        first, _, rest = str(name).partition('.')
        inner = {rest: value} if rest else value
        if not isinstance(inner, Mapping):
            raise ConfigError(f'option {name}={value!r}: expected SENSOR.OPTION=VALUE, such as s2.nodata=0')
        nested[first] = _merged(nested.get(first, {}), inner)
    return nested


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(before)
    for name, value in changes.items():
        first, _, rest = str(name).partition('.')
        value = {rest: value} if rest else value
        inner = merged.get(first)
        if isinstance(value, Mapping):
            value = _merged(inner if isinstance(inner, Mapping) else {}, value)
        merged[first] = value
    return merged
