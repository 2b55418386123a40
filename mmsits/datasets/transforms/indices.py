"""Spectral indices as further bands.

| name | formula | by | limited to |
|---|---|---|---|
| `NDVI` | (nir − red) / (nir + red) | Rouse et al. 1974 | −1 … 1 |
| `NDWI_McFeeters` | (green − nir) / (green + nir): open water | McFeeters 1996 | −1 … 1 |
| `NDWI_Gao` | (nir − swir1) / (nir + swir1): water in leaves; Gao took 1.24 µm, satellites mostly have 1.6 µm | Gao 1996 | −1 … 1 |
| `NDRE` | (nir − red_edge1) / (nir + red_edge1) | Barnes et al. 2000 | −1 … 1 |
| `EVI` | 2.5 (nir − red) / (nir + 6 red − 7.5 blue + 1) | Huete et al. 2002 | −1 … 1 |
| `RVI` | nir / red, the ratio vegetation index | Jordan 1969 | 0 … 30 |
| `cross_ratio` | VH / VV; of decibels their difference, in decibels | | 0 … 10; −50 … 50 dB |
| `radar_RVI` | 4 VH / (VV + VH) of powers, the radar vegetation index | Trudel et al. 2012 | 0 … 4 |

Where a denominator is 0 the index is 0. The limits keep negative reflectances of dark pixels from making it huge.
"""  # noqa: E501 (a table has no line breaks)

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmseg.registry import TRANSFORMS

from mmsits.datasets.backscatter import unit_kind
from mmsits.datasets.transforms.whole_series import SeriesContext, SeriesTransform, with_bands
from mmsits.structures import ImageSeries

ROLES: dict[str, tuple[str, ...]] = dict(
    blue=('B02', 'blue'),
    green=('B03', 'green'),
    red=('B04', 'red'),
    red_edge1=('B05', 'red_edge1', 'rededge1', 'red edge 1'),
    nir=('B08', 'B8A', 'nir'),
    swir1=('B11', 'swir1', 'swir16'),
    VV=('VV',),
    VH=('VH',),
)
"""Names, whatever their case, by which the bands of a formula are found: those of Sentinel-2, and plain words.

Other satellites number their bands otherwise (Landsat's B5 is near infrared): say which is which by ``roles``.
"""

_REFLECTANCE = re.compile(r'reflectance(?:\s*[x×*]\s*(\d+(?:\.\d+)?))?', re.IGNORECASE)
Bands = Mapping[str, np.ndarray]


class _Index(NamedTuple):
    """Bands that a formula takes, the formula, and its limits."""

    roles: tuple[str, ...]
    formula: Callable[[Bands], np.ndarray]
    limits: tuple[float, float]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def _normalised(first: str, second: str) -> _Index:
    def difference(bands: Bands) -> np.ndarray:
        return _ratio(bands[first] - bands[second], bands[first] + bands[second])

    return _Index((first, second), difference, (-1, 1))


def _evi(bands: Bands) -> np.ndarray:
    return _ratio(2.5 * (bands['nir'] - bands['red']), bands['nir'] + 6 * bands['red'] - 7.5 * bands['blue'] + 1)


OPTICAL: dict[str, _Index] = dict(
    NDVI=_normalised('nir', 'red'),
    NDWI_McFeeters=_normalised('green', 'nir'),
    NDWI_Gao=_normalised('nir', 'swir1'),
    NDRE=_normalised('nir', 'red_edge1'),
    EVI=_Index(('nir', 'red', 'blue'), _evi, (-1, 1)),
    RVI=_Index(('nir', 'red'), lambda bands: _ratio(bands['nir'], bands['red']), (0, 30)),
)
_CROSS_RATIO = _Index(('VV', 'VH'), lambda bands: _ratio(bands['VH'], bands['VV']), (0, 10))
_DECIBEL_RATIO = _Index(('VV', 'VH'), lambda bands: bands['VH'] - bands['VV'], (-50, 50))
_RADAR_RVI = _Index(('VV', 'VH'), lambda bands: _ratio(4 * bands['VH'], bands['VV'] + bands['VH']), (0, 4))
RADAR = ('cross_ratio', 'radar_RVI')


def spectral_index(
    name: str, values: np.ndarray, info: Mapping[str, Any], roles: Mapping[str, str] | None = None
) -> np.ndarray:
    """An index of bands that are known by name and unit.

    Args:
        name: see the table of the module.
        values: (N,T,C,H,W) in the sensor's unit.
        info: `bands` and `unit` of the sensor.
        roles: band for a role of the formula where `ROLES` does not find it: dict(nir='SR_B5').

    Returns:
        (N,T,H,W) float32; where a band is not finite, so is the index.

    Raises:
        ValueError: if the index is unknown, a band is missing, or the unit does not tell what the numbers mean.
    """
    index, convert = _choose(name, info['unit'])
    positions = [_position(role, info['bands'], roles or {}, name) for role in index.roles]
    # What lies where nothing was observed may be any number.
    with np.errstate(all='ignore'):
        bands = {role: convert(values[:, :, at]) for role, at in zip(index.roles, positions, strict=True)}
        return np.clip(index.formula(bands), *index.limits).astype(np.float32)


def _choose(name: str, unit: str) -> tuple[_Index, Callable[[np.ndarray], np.ndarray]]:
    """The formula for values of this unit, and how they become what it takes."""
    if name in OPTICAL:
        scale = np.float32(_reflectance_scale(name, unit))
        return OPTICAL[name], lambda values: values.astype(np.float32) * scale
    if name not in RADAR:
        raise ValueError(f'no index {name!r} is known; there are {[*OPTICAL, *RADAR]}')
    kind = unit_kind(unit)
    if kind is None:
        raise ValueError(f"{name}: the unit {unit!r} does not tell whether values are decibels; give 'dB' or 'linear'")
    decibels = kind == 'decibel'
    if name == 'cross_ratio':
        return (_DECIBEL_RATIO if decibels else _CROSS_RATIO), lambda values: values.astype(np.float32)
    if not decibels:
        return _RADAR_RVI, lambda values: values.astype(np.float32)
    return _RADAR_RVI, lambda values: np.power(np.float32(10), values.astype(np.float32) / 10)


def _reflectance_scale(name: str, unit: str) -> float:
    """What turns values of this unit into reflectances from 0 to 1."""
    found = _REFLECTANCE.search(unit)
    if found is None:
        raise ValueError(
            f'{name} is an index of reflectances, the unit of the sensor is {unit!r}. Where they are, say so: '
            "unit='reflectance' (0 to 1) or 'reflectance x 10000'"
        )
    return 1 / float(found[1] or 1)


def _position(role: str, bands: Sequence[str], roles: Mapping[str, str], name: str) -> int:
    held = [band.lower() for band in bands]
    wanted = (roles[role],) if role in roles else ROLES[role]
    for band in wanted:
        if band.lower() in held:
            return held.index(band.lower())
    raise ValueError(
        f"{name} takes the band {role}, and none of {tuple(bands)} is known as that: name it, roles=dict({role}='…')"
    )


@TRANSFORMS.register_module()
class AddSpectralIndices(SeriesTransform):
    """Put spectral indices behind the bands of a sensor; its values become float32.

    They are computed from reflectances from 0 to 1 (or powers), whatever the unit of the file, and stand without a unit
    beside its bands. The model takes so many bands more: `in_channels` of the backbone, and `sensors` of the data
    preprocessor, whose mean and standard deviation are measured before training. The checkpoint knows the indices by
    name as it knows the bands.

    Put transforms that change values (`ScaleReflectance`, `JitterValues`) before it: the indices then follow.

    Required keys: inputs, sensors_info. Changed keys: inputs, sensors_info.

    Args:
        indices: sensor to names of indices: dict(s2=('NDVI', 'EVI'), s1=('cross_ratio',)); the table of the module
            `mmsits.datasets.transforms.indices` lists them.
        roles: sensor to the band for a role, where its bands are not named like those of Sentinel-2:
            dict(landsat=dict(red='SR_B4', nir='SR_B5')).

    Raises:
        ValueError: when the dataset is opened, if an index, a band or the meaning of the values is not known.
    """

    def __init__(
        self, indices: Mapping[str, Sequence[str]], roles: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.indices = {sensor: tuple(names) for sensor, names in indices.items()}
        self.roles = {sensor: dict(bands) for sensor, bands in (roles or {}).items()}
        self.sensors = tuple(self.indices)

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Compute the indices; see the class."""
        names, roles = self.indices[about.sensor], self.roles.get(about.sensor)
        held = series.values.shape[2]
        shape = (*series.values.shape[:2], held + len(names), *series.values.shape[3:])
        # The bands of a parcel's pixel lie next to each other, and stay so.
        values = np.moveaxis(np.empty((*shape[:2], *shape[3:], shape[2]), np.float32), -1, 2) if shape[4] == 1 else None
        values = np.empty(shape, np.float32) if values is None else values
        values[:, :, :held] = series.values
        for position, name in enumerate(names, held):
            values[:, :, position] = spectral_index(name, series.values, about.info, roles)
        return series._replace(values=values)

    def changed_sensors_info(self, sensors_info: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """See :class:`SeriesTransform`."""
        unknown = [sensor for sensor in self.indices if sensor not in sensors_info]
        if unknown:
            raise ValueError(f'AddSpectralIndices: no sensor {unknown}; there are {list(sensors_info)}')
        return super().changed_sensors_info(sensors_info)

    def changed_info(self, sensor: str, info: dict[str, Any]) -> dict[str, Any]:
        """Bands with the indices behind them."""
        names = self.indices[sensor]
        # Found here, when the dataset is opened, rather than at its first sample.
        for name in names:
            spectral_index(name, np.zeros((1, 1, len(info['bands']), 1, 1)), info, self.roles.get(sensor))
        return with_bands(info, names)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(indices={self.indices}, roles={self.roles})'
