"""Growth of crops and other land covers through a season.

The state of a piece of land on a day is described by its *green leaf area index*, its *senescent
leaf area index* (both m2 of leaf per m2 of ground) and the share of the canopy covered by flowers.
The green leaf area is a sum of growth cycles, each a double logistic curve (Beck et al. 2006).
Dates are days relative to 1 January of the harvest year (31 is 1 February, -30 is 2 December of the
year before). The figures of the crop table are typical of northern and central France and were put
together for this simulator; they are not measurements.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

CYCLES_PER_UNIT = 4
CUTS_PER_UNIT = 3
NEVER = 1.0e4
"""A day far outside any season."""


def double_logistic(
    day: ArrayLike, start: ArrayLike, start_rate: ArrayLike, end: ArrayLike, end_rate: ArrayLike
) -> FloatArray:
    """Double logistic growth curve between 0 and 1.

    ``1 / (1 + exp(-start_rate (day - start))) + 1 / (1 + exp(end_rate (day - end))) - 1``, never
    below 0: equation 3 of P. Beck et al., "Improved monitoring of vegetation dynamics at very high
    latitudes: A new method using MODIS NDVI", Remote Sensing of Environment 100 (2006), without
    its winter level and amplitude.

    Args:
        day: Days; broadcast against the other arguments.
        start: Day of half growth.
        start_rate: Steepness of growth, 1/day.
        end: Day of half senescence.
        end_rate: Steepness of senescence, 1/day.

    Returns:
        Share of the full leaf area, between 0 and 1.
    """
    day = np.asarray(day, dtype=np.float64)
    growth = _logistic(np.multiply(start_rate, day - start))
    decline = _logistic(np.multiply(end_rate, np.subtract(end, day)))
    return np.maximum(growth + decline - 1.0, 0.0)


def _logistic(x: ArrayLike) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=np.float64)))


@dataclass(frozen=True)
class GrowthCycle:
    """One rise and fall of the green leaf area.

    Attributes:
        start: Day of half growth.
        start_rate: Steepness of growth, 1/day.
        end: Day of half senescence.
        end_rate: Steepness of senescence, 1/day.
        peak: Full green leaf area index, m2/m2.
    """

    start: float
    start_rate: float
    end: float
    end_rate: float
    peak: float


@dataclass(frozen=True)
class LandCover:
    """Typical season of a crop or another land cover.

    Attributes:
        name: Name as in the PASTIS nomenclature (crops) or of the land cover.
        cycles: Growth cycles that end with the harvest; two at most.
        base: Leaf area index that is always there, m2/m2.
        senescent: Senescent leaf area index reached at maturity, m2/m2.
        harvest: Day of harvest; ``NEVER`` for perennial covers.
        harvest_spread: Standard deviation of the harvest day beyond that of growth, days.
        stubble: Senescent leaf area index left after harvest until the soil is tilled, m2/m2.
        flowering: Day of full flower.
        flowering_width: Standard deviation in time of flowering, days.
        flower_share: Share of the canopy's reflectance due to flowers when in full flower, 0 to 1.
        cover_before: Share of parcels that carry a cover crop in the autumn before.
        crop_before: Share of parcels on which a summer crop still stands when the season starts.
        cover_after: Share of parcels with a cover crop or volunteers after harvest.
        cuts: Mean number of cuts (meadows), 0 to 3.
        timing_spread: Standard deviation between parcels of all growth dates, days.
        peak_spread: Relative standard deviation between parcels of the leaf area.
    """

    name: str
    cycles: tuple[GrowthCycle, ...]
    base: float = 0.0
    senescent: float = 0.0
    harvest: float = NEVER
    harvest_spread: float = 4.0
    stubble: float = 0.0
    flowering: float = NEVER
    flowering_width: float = 9.0
    flower_share: float = 0.0
    cover_before: float = 0.0
    crop_before: float = 0.0
    cover_after: float = 0.0
    cuts: float = 0.0
    timing_spread: float = 5.0
    peak_spread: float = 0.13


def _winter_cereal(name: str, sown: float, spring: float, mature: float, harvest: float, peak: float) -> LandCover:
    cycles = (GrowthCycle(sown, 0.09, 115, 0.10, 0.75), GrowthCycle(spring, 0.085, mature, 0.16, peak))
    return LandCover(
        name, cycles, senescent=2.0, harvest=harvest, stubble=1.0, crop_before=0.25, cover_after=0.4, timing_spread=5.5
    )


CROPS: dict[int, LandCover] = {
    1: LandCover(
        'Meadow',
        (GrowthCycle(82, 0.06, 315, 0.03, 2.6),),
        base=1.1,
        senescent=0.4,
        cuts=1.6,
        timing_spread=10.0,
        peak_spread=0.25,
    ),
    2: _winter_cereal('Soft winter wheat', -45, 90, 176, 201, 5.0),
    3: LandCover(
        'Corn',
        (GrowthCycle(166, 0.115, 262, 0.075, 4.6),),
        senescent=1.6,
        harvest=276,
        harvest_spread=14.0,
        stubble=0.5,
        cover_before=0.3,
        crop_before=0.2,
    ),
    4: _winter_cereal('Winter barley', -62, 81, 160, 180, 4.6),
    5: LandCover(
        'Winter rapeseed',
        (GrowthCycle(-98, 0.09, 4, 0.045, 2.4), GrowthCycle(76, 0.10, 166, 0.13, 4.4)),
        senescent=2.0,
        harvest=191,
        stubble=0.8,
        flowering=107,
        flower_share=0.42,
        cover_after=0.5,
    ),
    6: LandCover(
        'Spring barley',
        (GrowthCycle(110, 0.115, 181, 0.16, 4.3),),
        senescent=1.8,
        harvest=203,
        stubble=0.6,
        cover_before=0.45,
        crop_before=0.1,
        cover_after=0.4,
    ),
    7: LandCover(
        'Sunflower',
        (GrowthCycle(160, 0.12, 231, 0.11, 3.7),),
        senescent=1.2,
        harvest=258,
        harvest_spread=8.0,
        stubble=0.3,
        flowering=196,
        flowering_width=7.0,
        flower_share=0.14,
        cover_before=0.25,
        crop_before=0.1,
    ),
    8: LandCover(
        'Grapevine',
        (GrowthCycle(128, 0.08, 290, 0.06, 1.1),),
        base=0.25,
        senescent=0.3,
        timing_spread=6.0,
        peak_spread=0.3,
    ),
    9: LandCover(
        'Beet',
        (GrowthCycle(155, 0.10, 330, 0.03, 4.8),),
        harvest=292,
        harvest_spread=18.0,
        stubble=0.2,
        cover_before=0.45,
    ),
    10: _winter_cereal('Winter triticale', -50, 86, 172, 199, 4.7),
    13: LandCover(
        'Potatoes',
        (GrowthCycle(151, 0.13, 238, 0.10, 4.4),),
        senescent=0.9,
        harvest=258,
        harvest_spread=10.0,
        stubble=0.1,
        cover_before=0.3,
    ),
    15: LandCover(
        'Soybeans',
        (GrowthCycle(173, 0.10, 251, 0.14, 4.3),),
        senescent=1.0,
        harvest=272,
        harvest_spread=7.0,
        stubble=0.3,
        cover_before=0.3,
        crop_before=0.2,
    ),
    18: LandCover(
        'Sorghum',
        (GrowthCycle(172, 0.11, 254, 0.09, 3.9),),
        senescent=1.8,
        harvest=270,
        harvest_spread=9.0,
        stubble=0.5,
        cover_before=0.3,
        crop_before=0.2,
    ),
}
"""Crops that can be simulated, by their index in the PASTIS nomenclature."""

MARGIN_COVER = LandCover('Margin', (GrowthCycle(85, 0.05, 300, 0.03, 1.0),), base=0.7, senescent=0.4)
WOODLAND_COVER = LandCover('Woodland', (GrowthCycle(110, 0.12, 298, 0.07, 4.0),), base=1.0, senescent=0.6)
SETTLEMENT_COVER = LandCover('Settlement', (GrowthCycle(100, 0.08, 298, 0.05, 0.35),), base=0.15)
WATER_COVER = LandCover('Water', ())


@dataclass(frozen=True)
class PhenologyParameters:
    """Seasons of a number of land units; arrays over units (U), dates in days.

    Attributes:
        start: Days of half growth, shape (U, 4).
        start_rate: Steepness of growth, 1/day, shape (U, 4).
        end: Days of half senescence, shape (U, 4).
        end_rate: Steepness of senescence, 1/day, shape (U, 4).
        peak: Full leaf area indices, m2/m2, shape (U, 4).
        harvested: Whether a cycle ends with the harvest, shape (U, 4).
        base: Permanent leaf area index, shape (U,).
        senescent: Senescent leaf area index at maturity, shape (U,).
        maturity: Day on which half of the leaf area is senescent, shape (U,).
        harvest: Day of harvest, shape (U,).
        stubble: Leaf area index of the stubble, shape (U,).
        tillage: Day on which the stubble is turned under, shape (U,).
        flowering: Day of full flower, shape (U,).
        flowering_width: Standard deviation in time of flowering, shape (U,).
        flower_share: Share of flowers when in full flower, shape (U,).
        cuts: Days of cuts, ``NEVER`` where there is none, shape (U, 3).
    """

    start: FloatArray
    start_rate: FloatArray
    end: FloatArray
    end_rate: FloatArray
    peak: FloatArray
    harvested: NDArray[np.bool_]
    base: FloatArray
    senescent: FloatArray
    maturity: FloatArray
    harvest: FloatArray
    stubble: FloatArray
    tillage: FloatArray
    flowering: FloatArray
    flowering_width: FloatArray
    flower_share: FloatArray
    cuts: FloatArray = field(repr=False)

    def green(self, day: float) -> FloatArray:
        """Green leaf area index on a day, shape (U,), m2/m2, 0 or more."""
        cycles = self.peak * double_logistic(day, self.start, self.start_rate, self.end, self.end_rate)
        standing = 1.0 - _logistic((day - self.harvest) / 0.6)
        cycles = np.where(self.harvested, cycles * standing[:, None], cycles)
        return (self.base + cycles.sum(axis=1)) * self._after_cuts(day)

    def dry(self, day: float) -> FloatArray:
        """Senescent leaf area index (standing straw, litter, stubble) on a day, shape (U,), m2/m2."""
        ripe = self.senescent * _logistic(0.14 * (day - self.maturity))
        cut = _logistic((day - self.harvest) / 0.6)
        tilled = _logistic((day - self.tillage) / 0.6)
        return ripe * (1.0 - cut) + self.stubble * cut * (1.0 - tilled)

    def flowers(self, day: float) -> FloatArray:
        """Share of flowers in the canopy's reflectance on a day, shape (U,), 0 to 1."""
        return self.flower_share * np.exp(-0.5 * ((day - self.flowering) / self.flowering_width) ** 2)

    def _after_cuts(self, day: float) -> FloatArray:
        # A cut takes most of the leaf area; grass needs three to four weeks to grow it again.
        since = day - self.cuts
        regrowth = np.where(since > 0, 1.0 - 0.72 * np.exp(-np.maximum(since, 0.0) / 16.0), 1.0)
        return regrowth.min(axis=1)


def draw_parameters(
    covers: list[LandCover],
    cover_of_unit: NDArray[np.integer],
    random: np.random.Generator,
    variation: float = 1.0,
    cover_timing: ArrayLike | None = None,
    cover_peak: ArrayLike | None = None,
) -> PhenologyParameters:
    """Draw the season of every land unit.

    Args:
        covers: Land covers.
        cover_of_unit: Index into ``covers`` of each unit, shape (U,).
        random: Source of the numbers; the same count is drawn whatever the covers are.
        variation: Factor on all spreads between units; 0 makes the units of a cover alike (but for
            whether there is a crop before or after).
        cover_timing: Days by which all dates of each cover are moved in this region.
        cover_peak: Factor on the leaf area of each cover in this region.

    Returns:
        Parameters of the units.
    """
    count = len(cover_of_unit)
    normal = np.clip(random.standard_normal((count, 16)), -2.5, 2.5) * variation
    uniform = random.random((count, 8))

    def table(name: str) -> FloatArray:
        return np.array([getattr(cover, name) for cover in covers], dtype=np.float64)[cover_of_unit]

    timing = normal[:, 0] * table('timing_spread')
    if cover_timing is not None:
        timing += np.asarray(cover_timing, dtype=np.float64)[cover_of_unit]
    size = np.exp(normal[:, 1] * table('peak_spread'))
    if cover_peak is not None:
        size *= np.asarray(cover_peak, dtype=np.float64)[cover_of_unit]
    parameters = _main_cycles(covers, cover_of_unit, normal, timing, size)
    harvest = table('harvest') + timing + normal[:, 4] * table('harvest_spread')
    tillage = harvest + 8.0 + 50.0 * uniform[:, 3]
    _add_neighbouring_crops(parameters, table, uniform, normal, harvest)
    return PhenologyParameters(
        **parameters,
        base=table('base') * size,
        senescent=table('senescent') * np.exp(0.2 * normal[:, 5]),
        maturity=np.array([c.cycles[-1].end if c.cycles else NEVER for c in covers])[cover_of_unit] + timing,
        harvest=np.where(table('harvest') >= NEVER, NEVER, harvest),
        stubble=table('stubble') * np.exp(0.4 * normal[:, 6]),
        tillage=tillage,
        flowering=table('flowering') + timing + 2.0 * normal[:, 7],
        flowering_width=table('flowering_width'),
        flower_share=table('flower_share') * np.exp(0.15 * normal[:, 8]),
        cuts=_cut_days(table('cuts'), uniform[:, 4], normal[:, 9:12]),
    )


def _main_cycles(
    covers: list[LandCover],
    cover_of_unit: NDArray[np.integer],
    normal: FloatArray,
    timing: FloatArray,
    size: FloatArray,
) -> dict[str, NDArray]:
    """Cycles of the crop itself in the first two of four places; the others are left empty."""
    count = len(cover_of_unit)
    names = ('start', 'start_rate', 'end', 'end_rate', 'peak')
    table = np.zeros((len(covers), CYCLES_PER_UNIT, len(names)))
    table[:, :, 0], table[:, :, 1], table[:, :, 2], table[:, :, 3] = NEVER, 0.1, NEVER, 0.1
    for i, cover in enumerate(covers):
        for j, cycle in enumerate(cover.cycles):
            table[i, j] = [getattr(cycle, name) for name in names]
    values = table[cover_of_unit]
    parameters: dict[str, NDArray] = {name: values[:, :, k].copy() for k, name in enumerate(names)}
    parameters['start'] += timing[:, None] + 2.0 * normal[:, 2:3]
    parameters['end'] += timing[:, None] + 3.0 * normal[:, 3:4]
    parameters['start_rate'] *= np.exp(0.15 * normal[:, 12:13])
    parameters['end_rate'] *= np.exp(0.15 * normal[:, 13:14])
    parameters['peak'] *= size[:, None]
    parameters['harvested'] = np.broadcast_to(np.arange(CYCLES_PER_UNIT) < 2, (count, CYCLES_PER_UNIT)).copy()
    return parameters


def _add_neighbouring_crops(
    parameters: dict[str, NDArray],
    table: Callable[[str], FloatArray],
    uniform: FloatArray,
    normal: FloatArray,
    harvest: FloatArray,
) -> None:
    """What stands in the parcel before and after its crop, in the last two places."""
    cover_before = uniform[:, 0] < table('cover_before')
    crop_before = ~cover_before & (uniform[:, 0] < table('cover_before') + table('crop_before'))
    cover_after = uniform[:, 1] < table('cover_after')
    # A cover crop sown in late August, killed by frost or turned under in winter.
    _set_cycle(parameters, 2, cover_before, -108 + 9 * normal[:, 14], 0.10, -25 + 60 * uniform[:, 5], 0.12, 2.2)
    # A summer crop of the year before, cleared in September or October.
    _set_cycle(parameters, 2, crop_before, np.full(len(harvest), -200.0), 0.10, -112 + 28 * uniform[:, 5], 0.30, 3.2)
    # A cover crop, or volunteer plants, from about a month after the harvest on.
    begin = harvest + 26 + 22 * uniform[:, 6]
    _set_cycle(parameters, 3, cover_after, begin, 0.11, begin + 100, 0.06, 1.9)
    spread = np.exp(0.25 * normal[:, 15])
    parameters['peak'][:, 2:] *= spread[:, None]


def _set_cycle(
    parameters: dict[str, NDArray],
    place: int,
    where: NDArray[np.bool_],
    start: FloatArray,
    start_rate: float,
    end: FloatArray,
    end_rate: float,
    peak: float,
) -> None:
    values: dict[str, FloatArray | float] = {
        'start': start,
        'start_rate': start_rate,
        'end': end,
        'end_rate': end_rate,
        'peak': peak,
    }
    for name, value in values.items():
        parameters[name][:, place] = np.where(where, value, parameters[name][:, place])


def _cut_days(mean: FloatArray, uniform: FloatArray, normal: FloatArray) -> FloatArray:
    number = np.where(mean > 0, np.floor(mean * 2 * uniform + 0.5), 0)
    first = 148 + 12 * normal[:, 0]
    second = first + 48 + 7 * normal[:, 1]
    third = second + 52 + 7 * normal[:, 2]
    days = np.stack([first, second, third], axis=1)
    return np.where(np.arange(CUTS_PER_UNIT) < number[:, None], days, NEVER)


@dataclass(frozen=True)
class SeasonTable:
    """State of all units on every day of a season.

    Attributes:
        first_day: Day of the first row.
        green: Green leaf area index, shape (D, U), m2/m2.
        dry: Senescent leaf area index, shape (D, U), m2/m2.
        flowers: Share of flowers, shape (D, U), 0 to 1.
    """

    first_day: int
    green: NDArray[np.float32]
    dry: NDArray[np.float32]
    flowers: NDArray[np.float32]

    def at(
        self, day: float, units: NDArray[np.integer], delay: ArrayLike = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Look up the state of units, each delayed by its own number of days.

        Args:
            day: Day relative to 1 January of the harvest year.
            units: Units, shape (N,).
            delay: Days by which each looks as it did earlier, shape (N,) or a number.

        Returns:
            Green and senescent leaf area index and share of flowers, each of shape (N,).
        """
        position = np.clip(day - self.first_day - np.asarray(delay, dtype=np.float32), 0, len(self.green) - 1.001)
        row = np.floor(position).astype(np.int64)
        part = (position - row).astype(np.float32)

        def look_up(values: NDArray[np.float32]) -> NDArray[np.float32]:
            early = values[row, units]
            return early + part * (values[row + 1, units] - early)

        return look_up(self.green), look_up(self.dry), look_up(self.flowers)


def season_table(parameters: PhenologyParameters, first_day: int, last_day: int, shift: float = 0.0) -> SeasonTable:
    """Compute the state of all units day by day.

    Args:
        parameters: Seasons of the units.
        first_day: First day.
        last_day: Last day, included.
        shift: Days by which everything happens later; the table with shift ``s`` on day ``d`` is that
            without on day ``d - s``.

    Returns:
        The table.
    """
    days = [day - shift for day in range(first_day, last_day + 1)]
    green, dry, flowers = (
        np.array([function(day) for day in days], dtype=np.float32)
        for function in (parameters.green, parameters.dry, parameters.flowers)
    )
    return SeasonTable(first_day, green, dry, flowers)
