"""A simulated region: what is asked for (``RegionConfig``) and what comes of it (``SimulatedRegion``)."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .landscape import Landscape, make_landscape, unit_outlines
from .phenology import CROPS
from .random_fields import Concern, stream
from .sensors import (
    CHANNELS,
    DATA_TYPES,
    SENSORS,
    acquisition_dates,
    observe_s1,
    observe_s2,
)
from .surface import LandUnits, Surface, assign_units
from .weather import Weather, make_weather

BACKGROUND, VOID = 0, 19
"""Class numbers of PASTIS that are not crops."""

CLASS_NAMES: dict[int, str] = {
    BACKGROUND: 'Background',
    **{number: crop.name for number, crop in CROPS.items()},
    VOID: 'Void label',
}
"""Names of the classes that occur, by PASTIS number."""

DEFAULT_PROPORTIONS: dict[int, float] = {
    1: 0.18,
    2: 0.20,
    3: 0.17,
    4: 0.10,
    5: 0.10,
    6: 0.09,
    7: 0.07,
    8: 0.03,
    9: 0.06,
    10: 0.05,
    13: 0.03,
    15: 0.04,
    18: 0.03,
}
"""Relative area of each crop where no proportions are given; made up, roughly those of northern France."""

DEFAULT_CLASSES = (1, 2, 3, 4, 5, 6, 7, 9, 13)


@dataclass(frozen=True)
class RegionConfig:
    """Everything that determines a simulated region.

    Attributes:
        height: Rows, pixels of 10 m, 8 or more.
        width: Columns, pixels, 8 or more.
        season_start: First day of the series, 'YYYY-MM-DD'.
        season_end: Last day, included; None means a year less a day after the start.
        seed: Seed of all random numbers, 0 or more.
        classes: Crops, as PASTIS numbers; see ``CROPS``.
        proportions: Shares of the farmed area, one per class, in any unit; None takes those of
            ``DEFAULT_PROPORTIONS``.
        background_share: Share of the area, paths aside, under woodland, settlement or water, 0 to below 1.
        field_size: Mean area of a field, hectares, 0.3 to 50.
        temporal_shift_days: Days by which all vegetation is late (early if negative), -180 to 180.
            Fields, weather and acquisitions stay as they are.
        parcel_variation: Factor on the variation between parcels of a class, 0 or more.
        heterogeneity: Factor on the variation inside parcels, 0 or more.
        region_variation: Factor on the random differences of classes between regions (standard
            deviation of timing 2 days, mean over classes 0; of leaf area 6 %), 0 or more.
        cloud_cover: Mean share of the sky covered by clouds, 0 to 1.
        highest_cloud_cover: Sentinel-2 acquisitions under skies with more cover are left out, 0 to 1.
        haze: Factor on the haze, 0 or more.
        pixel_noise: Standard deviation of the noise of Sentinel-2 pixels relative to the signal, 0 or more.
        registration_error: Standard deviation of the displacement of Sentinel-2 images, pixels, 0 to 2.
        speckle_looks: Equivalent number of looks of Sentinel-1, above 0; infinite for no speckle.
        sensors: Sensors, of 's2', 's1a' and 's1d'.
        s2_dates: Most Sentinel-2 dates to keep; None keeps all.
        s1_dates: Most dates of each Sentinel-1 pass to keep; None keeps all.
        label_noise: Share of the parcels with a wrong label, 0 to 1.
        annotated_share: Share of the parcels that are labelled, 0 to 1; the others are void (19).
        latitude: Degrees, -65 to 65; sets the direction and length of shadows.

    Raises:
        ValueError: If a value makes no sense; the message says which and what would.
    """

    height: int = 256
    width: int = 256
    season_start: str = '2018-09-01'
    season_end: str | None = None
    seed: int = 0
    classes: tuple[int, ...] = DEFAULT_CLASSES
    proportions: tuple[float, ...] | None = None
    background_share: float = 0.08
    field_size: float = 2.5
    temporal_shift_days: float = 0.0
    parcel_variation: float = 1.0
    heterogeneity: float = 1.0
    region_variation: float = 1.0
    cloud_cover: float = 0.4
    highest_cloud_cover: float = 0.8
    haze: float = 1.0
    pixel_noise: float = 0.06
    registration_error: float = 0.25
    speckle_looks: float = 4.4
    sensors: tuple[str, ...] = ('s2',)
    s2_dates: int | None = None
    s1_dates: int | None = None
    label_noise: float = 0.0
    annotated_share: float = 1.0
    latitude: float = 47.0

    def __post_init__(self) -> None:
        for name in ('classes', 'sensors', 'proportions'):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_numbers()
        self._check_classes()
        self._check_season()
        wrong = [sensor for sensor in self.sensors if sensor not in SENSORS]
        if wrong or not self.sensors or len(set(self.sensors)) < len(self.sensors):
            raise ValueError(f'sensors must be different ones of {SENSORS}, not {self.sensors}.')

    def _check_numbers(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            'height': (8, 100_000),
            'width': (8, 100_000),
            'seed': (0, 2**63),
            'background_share': (0, 0.99),
            'field_size': (0.3, 50),
            'temporal_shift_days': (-180, 180),
            'parcel_variation': (0, 10),
            'heterogeneity': (0, 10),
            'region_variation': (0, 10),
            'cloud_cover': (0, 1),
            'highest_cloud_cover': (0, 1),
            'haze': (0, 20),
            'pixel_noise': (0, 10),
            'registration_error': (0, 2),
            'label_noise': (0, 1),
            'annotated_share': (0, 1),
            'latitude': (-65, 65),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f'{name} must be between {low} and {high}, not {getattr(self, name)}.')
        if not self.speckle_looks > 0:
            raise ValueError(f'speckle_looks must be above 0, not {self.speckle_looks}.')
        for name in ('s2_dates', 's1_dates'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'{name} must be 1 or more (or None for all), not {value}.')

    def _check_classes(self) -> None:
        unknown = [number for number in self.classes if number not in CROPS]
        if unknown or not self.classes:
            known = ', '.join(f'{number} {crop.name}' for number, crop in CROPS.items())
            raise ValueError(f'classes {unknown or "()"} cannot be simulated; there are: {known}.')
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f'classes has a class twice: {self.classes}.')
        if self.proportions is not None:
            if len(self.proportions) != len(self.classes):
                raise ValueError(f'proportions has {len(self.proportions)} values for {len(self.classes)} classes.')
            if min(self.proportions) < 0 or sum(self.proportions) <= 0:
                raise ValueError(f'proportions must be 0 or more and not all 0, not {self.proportions}.')
        if self.label_noise > 0 and len(self.classes) < 2:
            raise ValueError('label_noise needs at least two classes.')

    def _check_season(self) -> None:
        try:
            days = int((self.last_day - self.first_day).astype(int)) + 1
        except ValueError as error:
            raise ValueError(
                f'season_start and season_end must be dates like 2018-09-01, not {self.season_start!r}'
                f' and {self.season_end!r}.'
            ) from error
        if not 1 <= days <= 800:
            raise ValueError(
                f'The season from {self.first_day} to {self.last_day} has {days} days; 1 to 800 are allowed.'
            )

    @property
    def first_day(self) -> np.datetime64:
        """First day of the season, datetime64[D]."""
        return np.datetime64(self.season_start, 'D')

    @property
    def last_day(self) -> np.datetime64:
        """Last day of the season, datetime64[D]."""
        if self.season_end is not None:
            return np.datetime64(self.season_end, 'D')
        return self.first_day + np.timedelta64(364, 'D')

    @property
    def harvest_year_start(self) -> np.datetime64:
        """1 January of the year in which the season's crops are harvested, datetime64[D]."""
        return (self.first_day + np.timedelta64(190, 'D')).astype('datetime64[Y]').astype('datetime64[D]')

    @property
    def class_proportions(self) -> NDArray[np.float64]:
        """Shares of the farmed area, adding up to 1, shape (K,)."""
        shares = self.proportions or tuple(DEFAULT_PROPORTIONS[number] for number in self.classes)
        return np.array(shares, dtype=np.float64) / sum(shares)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON types."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> 'RegionConfig':
        """Make a configuration of the values of ``to_dict``.

        Raises:
            ValueError: If a name is unknown or a value makes no sense.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f'RegionConfig has no {", ".join(unknown)}.')
        arguments: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**arguments)


class SimulatedRegion:
    """A region with known truth.

    Maps are made at once; images only when asked for, one acquisition at a time, so that a region
    larger than memory allows as a whole can be written date by date. Asking for an image again gives
    the same numbers.

    Args:
        config: What to simulate.

    Attributes:
        config: What was asked for.
        landscape: Geometry of the land units.
        units: Land cover of the units, with the random differences of this region.
        weather: Daily weather.
        dates: Dates of acquisition by sensor, datetime64[D], ascending.
        parcel_ids: Parcel of each pixel, 1 and up, 0 outside parcels, int32, shape (H, W).
        true_class: True class of each pixel, PASTIS numbers, uint8, shape (H, W).
        label: Class after label noise and partial annotation (19 where not annotated), uint8, (H, W).
        parcel_class: True class by parcel number, entry 0 being background, uint8, shape (P + 1,).
        parcel_label: Label by parcel number, uint8, shape (P + 1,).
        purity: Share of the pixel taken by its land unit, 0 to 1, float32, shape (H, W).
    """

    def __init__(self, config: RegionConfig) -> None:
        self.config = config
        self.landscape: Landscape = make_landscape(config.height, config.width, config.seed, config.field_size)
        self.units: LandUnits = assign_units(
            self.landscape,
            config.seed,
            config.classes,
            config.class_proportions,
            config.background_share,
            config.region_variation,
        )
        self.weather: Weather = make_weather(config.first_day, config.last_day, config.seed, config.cloud_cover)
        self.dates = {sensor: self._dates(sensor) for sensor in config.sensors}
        farmed = self.units.class_of_unit > 0
        parcel_of_unit = np.where(farmed, np.cumsum(farmed), 0).astype(np.int32)
        self.parcel_ids: NDArray[np.int32] = parcel_of_unit[self.landscape.dominant]
        self.parcel_class = np.append(BACKGROUND, self.units.class_of_unit[farmed]).astype(np.uint8)
        self.parcel_label = _label_parcels(self.parcel_class, config)
        self.true_class: NDArray[np.uint8] = self.parcel_class[self.parcel_ids]
        self.label: NDArray[np.uint8] = self.parcel_label[self.parcel_ids]
        self.purity = self.landscape.purity

    def _dates(self, sensor: str) -> NDArray[np.datetime64]:
        config = self.config
        number = config.s2_dates if sensor == 's2' else config.s1_dates
        return acquisition_dates(
            sensor, config.first_day, config.last_day, config.seed, self.weather, config.highest_cloud_cover, number
        )

    def parcel_outlines(self) -> dict[int, NDArray[np.float64]]:
        """Return the outlines of the parcels.

        Returns:
            Parcel number to the corners of its convex outline, in order, as row and column in pixels, where 0 is the
            upper or left edge of the region, shape (N, 2).
        """
        outlines = unit_outlines(self.landscape, self.config.seed, self.config.field_size)
        return {
            parcel: outlines[unit]
            for parcel, unit in enumerate(np.flatnonzero(self.units.class_of_unit > 0).tolist(), start=1)
        }

    @cached_property
    def surface(self) -> Surface:
        """The ground, free of sensor and atmosphere."""
        config = self.config
        return Surface(
            self.landscape,
            self.units,
            config.seed,
            int(self._day(config.first_day)),
            int(self._day(config.last_day)),
            config.temporal_shift_days,
            config.parcel_variation,
            config.heterogeneity,
        )

    def _day(self, date: np.datetime64) -> float:
        return float((date - self.config.harvest_year_start).astype(int))

    @property
    def known_shift_days(self) -> dict[int, float]:
        """Days by which each class is late in this region compared with the crop table.

        The shift of the configuration plus the random difference of the region; the mean over classes
        is the shift of the configuration.
        """
        return {
            number: float(self.config.temporal_shift_days + timing)
            for number, timing in zip(self.units.classes, self.units.timing, strict=True)
        }

    def acquisition(self, sensor: str, index: int) -> NDArray[Any]:
        """Simulate one acquisition.

        Args:
            sensor: One of the sensors of the configuration.
            index: Position in ``dates[sensor]``.

        Returns:
            's2': reflectance times 10000, int16, 0 to 16000, shape (10, H, W). 's1a', 's1d': VV, VH and
            VV - VH in dB, float16, shape (3, H, W).

        Raises:
            ValueError: If the region has no such sensor.
        """
        if sensor == 's2':
            return self.s2_acquisition(index)[0]
        date = self._dates_of(sensor)[index]
        moisture = float(self.weather.moisture[self.weather.index(date)])
        ground = self.surface.backscatter(self._day(date), moisture, sensor == 's1d')
        return observe_s1(ground, date, sensor, self.config.seed, self.config.speckle_looks)

    def s2_acquisition(self, index: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Simulate one Sentinel-2 acquisition and give its true cloud mask too.

        Args:
            index: Position in ``dates['s2']``.

        Returns:
            Reflectance times 10000, int16, shape (10, H, W); mask (0 clear, 1 shadow, 2 cloud), uint8, (H, W).

        Raises:
            ValueError: If the region has no Sentinel-2.
        """
        config = self.config
        date = self._dates_of('s2')[index]
        ground = self.surface.reflectance(self._day(date), float(self.weather.moisture[self.weather.index(date)]))
        return observe_s2(
            ground,
            date,
            self.weather,
            config.seed,
            config.latitude,
            config.pixel_noise,
            config.haze,
            config.registration_error,
        )

    def _dates_of(self, sensor: str) -> NDArray[np.datetime64]:
        if sensor not in self.dates:
            raise ValueError(f'The region has no sensor {sensor!r}, only {tuple(self.dates)}.')
        return self.dates[sensor]

    def values(self, sensor: str, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Simulate all acquisitions of a sensor.

        Args:
            sensor: One of the sensors of the configuration.
            out: Array of shape (T, C, H, W) to fill, for instance a memory-mapped file; a new one if None.

        Returns:
            The array; see ``acquisition``.

        Raises:
            ValueError: If the region has no such sensor or ``out`` has another shape.
        """
        shape = self.shape(sensor)
        if out is None:
            out = np.empty(shape, dtype=DATA_TYPES[sensor])
        elif out.shape != shape:
            raise ValueError(f'out has the shape {out.shape}, not {shape}.')
        for index in range(shape[0]):
            out[index] = self.acquisition(sensor, index)
        return out

    def shape(self, sensor: str) -> tuple[int, int, int, int]:
        """Return the shape (T, C, H, W) of a sensor's series."""
        return len(self._dates_of(sensor)), len(CHANNELS[sensor]), self.config.height, self.config.width

    def cloud_mask(self) -> NDArray[np.uint8]:
        """Return the true cloud mask of Sentinel-2: 0 clear, 1 shadow, 2 cloud, uint8, shape (T, H, W)."""
        return np.stack([self.s2_acquisition(index)[1] for index in range(len(self._dates_of('s2')))])

    def ndvi(self, dates: ArrayLike) -> NDArray[np.float32]:
        """Noise-free NDVI without clouds, for a soil of constant moisture.

        Args:
            dates: Dates within the season, datetime64[D] or text, shape (T,).

        Returns:
            NDVI, -1 to 1, float32, shape (T, H, W).
        """
        days = np.atleast_1d(np.asarray(dates, dtype='datetime64[D]'))
        return np.stack([self.surface.ndvi(self._day(date)) for date in days])


def _label_parcels(parcel_class: NDArray[np.uint8], config: RegionConfig) -> NDArray[np.uint8]:
    """Labels by parcel: some parcels get another class of the region, some none."""
    label = parcel_class.copy()
    count = len(label) - 1
    random = stream(config.seed, Concern.LABEL_NOISE)
    classes = np.array(config.classes, dtype=np.uint8)
    for parcel in 1 + random.permutation(count)[: round(config.label_noise * count)]:
        label[parcel] = random.choice(classes[classes != parcel_class[parcel]])
    random = stream(config.seed, Concern.ANNOTATION)
    label[1 + random.permutation(count)[round(config.annotated_share * count) :]] = VOID
    return label


def simulate_region(config: RegionConfig) -> SimulatedRegion:
    """Simulate a region.

    Args:
        config: What to simulate.

    Returns:
        The region; images are made when asked for.
    """
    return SimulatedRegion(config)
