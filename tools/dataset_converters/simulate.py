"""Simulate satellite image time series of farmland with known truth.

    python tools/dataset_converters/simulate.py data/simulated --patches 40 --patch-size 32 --seed 0

A source and a target region whose vegetation is 30 days later, as parcels in the layout of TimeMatch:

    python tools/dataset_converters/simulate.py data/simulated_parcels --layout timematch --target-shift-days 30

A scene as dated GeoTIFFs of Sentinel-2 and Sentinel-1 with its fields in a GeoPackage:

    python tools/dataset_converters/simulate.py data/my_scene --layout geotiff --patches 1 --patch-size 256 \
        --sensors s2 s1a

Series of single pixels in the layout of SITS-MoCo, of six sites in three years:

    python tools/dataset_converters/simulate.py data/simulated_pixels --layout us-crops --sites 6 --years 2019 2020 2021

Monthly composites before the harvest with EUCROPMAP's codes, and with a tenth of the fields marked, a crop at a time:

    python tools/dataset_converters/simulate.py data/simulated_eurocropmap --layout eurocropmap --patches 63 \
        --patch-size 64
    python tools/dataset_converters/simulate.py data/simulated_isrc --layout isrc --patches 63 --patch-size 64 \
        --annotated-share 0.1 --seed 1

See docs/simulator.md.
"""

import argparse
import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    # Lets the tool run from a checkout that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmsits.datasets.simulator import (
    BANDS,
    CLASS_NAMES,
    CLOUD_FILES,
    CROPS,
    DEFAULT_CLASSES,
    ISRC_CLASSES,
    LAYOUTS,
    SENSORS,
    GeotiffOptions,
    ProgressPrinter,
    RegionConfig,
    SimulatedRegion,
    draw_season,
    is_finished,
    season_of,
    simulate_region,
)
from mmsits.datasets.simulator.us_crops_layout import CLASSES as US_CROPS_CLASSES
from mmsits.datasets.simulator.us_crops_layout import SITES as US_CROPS_SITES

CALENDAR_YEAR = '2018-01-01'
"""First day where nothing else is asked for in the layout of TimeMatch, whose series are of calendar years."""
FIRST_DAYS = {'timematch': CALENDAR_YEAR, 'mtlcc': '2016-01-01', 'mts12': '2019-01-01'}
"""First day by layout, where nothing else is asked for."""
LAYOUT_CLASSES = {'us-crops': US_CROPS_CLASSES}
"""Crops by layout, where nothing else is asked for."""
LAYOUT_PATCHES = {'us-crops': 1}
"""Patches by layout, where nothing else is asked for: a region is as large as its patches."""
LAYOUT_SENSORS = {'mts12': ('s1a',), 'eurocropmap': ('s2', 's1a'), 'isrc': ('s2', 's1a')}
"""Sensors by layout, where nothing else is asked for; otherwise Sentinel-2."""


BEFORE_HARVEST = ('eurocropmap', 'isrc')
"""Layouts whose season follows from a harvest date."""
LAYOUT_CLASSES = {'isrc': ISRC_CLASSES}
"""Crops by layout, where nothing else is asked for."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    defaults = RegionConfig()
    parser = argparse.ArgumentParser(
        description='Simulate satellite image time series of farmland with known truth.',
        epilog='Crops: ' + ', '.join(f'{number} {crop.name}' for number, crop in CROPS.items()) + '.',
    )
    add = parser.add_argument
    add('out', type=Path, help='folder of the data set')
    add('--layout', choices=sorted(LAYOUTS), default='pastis', help='layout of the files (default: %(default)s)')
    add('--patches', type=int, default=None, help='number of patches (default: 40, with layout us-crops 1)')
    add('--patch-size', type=int, default=128, help='side of a patch in pixels of 10 m (default: %(default)s)')
    add('--folds', type=int, default=5, help='number of folds, in the layout of PASTIS (default: %(default)s)')
    add('--seed', type=int, default=0, help='seed of all random numbers (default: %(default)s)')
    add(
        '--season-start',
        default=None,
        help=f'first day (default: {defaults.season_start}, with the layouts of TimeMatch {CALENDAR_YEAR}, of '
        f'MTLCC {FIRST_DAYS["mtlcc"]}, of MTS12 {FIRST_DAYS["mts12"]})',
    )
    add('--season-end', default=None, help='last day, included (default: a year less a day after the start)')
    add('--shift-days', type=float, default=0.0, help='days by which all vegetation is late (default: %(default)s)')
    add('--dates', type=int, default=None, help='most Sentinel-2 dates to keep (default: all)')
    add('--s1-dates', type=int, default=None, help='most dates of each Sentinel-1 pass to keep (default: all)')
    add('--sensors', nargs='+', choices=SENSORS, default=None, help='sensors (default: s2, with layout mts12 s1a)')
    add(
        '--mat-version', choices=('v5', 'v73'), default='v5', help='of MATLAB, with layout mts12 (default: %(default)s)'
    )
    add(
        '--tile-form',
        choices=('tfrecord', 'geotiff'),
        default='tfrecord',
        help='of tiles, with layout mtlcc (default: %(default)s)',
    )
    add('--classes', nargs='+', type=int, default=None, help='crops, as PASTIS numbers')
    add('--proportions', nargs='+', type=float, default=None, help='relative areas of the crops, one for each')
    add('--field-size', type=float, default=defaults.field_size, help='mean field in hectares (default: %(default)s)')
    add('--cloud-cover', type=float, default=defaults.cloud_cover, help='mean, 0 to 1 (default: %(default)s)')
    add('--pixel-noise', type=float, default=defaults.pixel_noise, help='relative noise (default: %(default)s)')
    add('--label-noise', type=float, default=0.0, help='share of parcels with a wrong label (default: %(default)s)')
    add('--annotated-share', type=float, default=1.0, help='share of parcels with a label (default: %(default)s)')
    add('--picture', type=Path, default=None, help='also draw a picture of the season to this file')
    target = parser.add_argument_group('a second region (layout timematch)')
    target.add_argument(
        '--target-shift-days', type=float, default=None, help='write one whose vegetation is late by so many days'
    )
    target.add_argument('--target-seed', type=int, default=None, help='its seed (default: that of the first + 1)')
    target.add_argument('--target-proportions', nargs='+', type=float, default=None, help='its relative areas of crops')
    pixels = parser.add_argument_group('series of single pixels (layout us-crops)')
    pixels.add_argument('--years', nargs='+', type=int, default=[2019], help='calendar years (default: 2019)')
    pixels.add_argument('--sites', type=int, default=2, help='regions of each year, 1 to 6 (default: %(default)s)')
    pixels.add_argument('--pixels', type=int, default=600, help='most labelled ones of a region (default: %(default)s)')
    pixels.add_argument('--unlabelled', type=int, default=1500, help='most others of a region (default: %(default)s)')
    scene = parser.add_argument_group('a scene of files (layout geotiff)')
    options = GeotiffOptions()
    scene.add_argument('--bands', nargs='+', choices=BANDS, default=list(options.bands), help='bands of Sentinel-2')
    scene.add_argument(
        '--repeat', type=int, default=options.repeat, help='lay copies of the region side by side, along each axis'
    )
    scene.add_argument('--points', type=int, default=options.points, help='most labelled points (default: %(default)s)')
    scene.add_argument(
        '--cloud-files',
        nargs='*',
        choices=CLOUD_FILES,
        default=list(options.cloud_files),
        help='what tells clouds: a mask, a scene classification of 20 m, both or nothing (default: mask)',
    )
    scene.add_argument(
        '--s1-pixel-size', type=int, default=options.s1_pixel_size, help='of Sentinel-1, m (default: %(default)s)'
    )
    scene.add_argument('--s1-crs', default=None, help='reference system of Sentinel-1 (default: that of Sentinel-2)')
    scene.add_argument(
        '--partial-dates',
        type=float,
        default=options.partial_dates,
        help='share of the Sentinel-2 dates that see only a part of the scene (default: %(default)s)',
    )
    add('--harvest-date', default='2018-08-01', help='with layouts eurocropmap and isrc (default: %(default)s)')
    add('--overwrite', action='store_true', help='replace a data set simulated with other options')
    return parser


def make_config(arguments: argparse.Namespace) -> RegionConfig:
    """Turn the arguments into the configuration of a region just large enough for the patches.

    Raises:
        ValueError: If an argument makes no sense; the message says which.
    """
    if arguments.patches < 1 or arguments.patch_size < 8:
        raise ValueError(
            f'--patches must be 1 or more and --patch-size 8 or more, not {arguments.patches}'
            f' and {arguments.patch_size}.'
        )
    if arguments.layout == 'pastis' and not 1 <= arguments.folds <= arguments.patches:
        raise ValueError(f'--folds must be between 1 and --patches ({arguments.patches}), not {arguments.folds}.')
    season_start = FIRST_DAYS.get(arguments.layout, RegionConfig().season_start)
    season_end = arguments.season_end
    if arguments.layout in BEFORE_HARVEST:
        season_start, last_day = season_of(arguments.harvest_date)
        season_end = season_end or last_day
    rows = max(1, math.isqrt(arguments.patches))
    columns = math.ceil(arguments.patches / rows)
    return RegionConfig(
        height=rows * arguments.patch_size,
        width=columns * arguments.patch_size,
        season_start=arguments.season_start or season_start,
        season_end=season_end,
        seed=arguments.seed,
        classes=tuple(arguments.classes or LAYOUT_CLASSES.get(arguments.layout, DEFAULT_CLASSES)),
        proportions=None if arguments.proportions is None else tuple(arguments.proportions),
        field_size=arguments.field_size,
        temporal_shift_days=arguments.shift_days,
        cloud_cover=arguments.cloud_cover,
        pixel_noise=arguments.pixel_noise,
        sensors=sensors_of(arguments),
        s2_dates=arguments.dates,
        s1_dates=arguments.s1_dates,
        label_noise=arguments.label_noise,
        annotated_share=arguments.annotated_share,
    )


def sensors_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the sensors that were asked for, or those that the layout is about."""
    return tuple(arguments.sensors or LAYOUT_SENSORS.get(arguments.layout, ('s2',)))


def make_target(arguments: argparse.Namespace, source: RegionConfig) -> RegionConfig:
    """Return the configuration of the second region: like the first but for seed, shift and proportions.

    Raises:
        ValueError: If an argument makes no sense; the message says which.
    """
    return dataclasses.replace(
        source,
        seed=arguments.seed + 1 if arguments.target_seed is None else arguments.target_seed,
        temporal_shift_days=arguments.target_shift_days,
        proportions=source.proportions if arguments.target_proportions is None else tuple(arguments.target_proportions),
    )


def make_sites(arguments: argparse.Namespace, first: RegionConfig) -> list[RegionConfig]:
    """Return the configurations of all sites in all years: like the first but for seed and year.

    Raises:
        ValueError: If an argument makes no sense; the message says which.
    """
    if not 1 <= arguments.sites <= len(US_CROPS_SITES):
        raise ValueError(f'--sites must be between 1 and {len(US_CROPS_SITES)}, not {arguments.sites}.')
    if len(set(arguments.years)) < len(arguments.years):
        raise ValueError(f'--years has a year twice: {arguments.years}.')
    if arguments.season_start or arguments.season_end:
        raise ValueError('--layout us-crops takes calendar years: give --years, not --season-start or --season-end.')
    return [
        dataclasses.replace(
            first,
            season_start=f'{year}-01-01',
            season_end=f'{year}-12-31',
            seed=arguments.seed + number * len(US_CROPS_SITES) + site,
        )
        for number, year in enumerate(arguments.years)
        for site in range(arguments.sites)
    ]


def write(options: argparse.Namespace, regions: list[SimulatedRegion]) -> None:
    """Write the regions in the chosen layout."""
    before_harvest = dict(patch_size=options.patch_size, patches=options.patches, harvest_date=options.harvest_date)
    of_layout: dict[str, dict[str, Any]] = {
        'pastis': dict(patch_size=options.patch_size, folds=options.folds, patches=options.patches),
        'mtlcc': dict(patch_size=options.patch_size, patches=options.patches, form=options.tile_form),
        'geotiff': dict(options=make_geotiff_options(options)),
        'mts12': dict(patch_size=options.patch_size, patches=options.patches, mat_version=options.mat_version),
        'us-crops': dict(pixels=options.pixels, unlabelled=options.unlabelled),
        'eurocropmap': before_harvest,
        'isrc': before_harvest,
    }
    LAYOUTS[options.layout](
        regions,
        options.out,
        overwrite=options.overwrite,
        progress=ProgressPrinter(lambda line: print(line, flush=True)),
        **of_layout.get(options.layout, {}),
    )


def make_geotiff_options(arguments: argparse.Namespace) -> GeotiffOptions:
    """Turn the arguments into the options of the layout of GeoTIFFs.

    Raises:
        ValueError: If an argument makes no sense; the message says which.
    """
    return GeotiffOptions(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(GeotiffOptions)}
    )


def describe(region: SimulatedRegion) -> str:
    """Return a few lines on what was simulated."""
    config = region.config
    farmed = region.true_class[region.true_class > 0]
    shares = ', '.join(f'{CLASS_NAMES[n]} {(farmed == n).mean():.0%}' for n in sorted(config.classes))
    lines = [f'{config.height} x {config.width} pixels, {len(region.parcel_class) - 1} parcels: {shares}']
    for sensor, dates in region.dates.items():
        lines.append(f'{sensor}: {len(dates)} dates from {dates[0]} to {dates[-1]}')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.patches is None:
        options.patches = LAYOUT_PATCHES.get(options.layout, 40)
    if options.picture is not None and 's2' not in sensors_of(options):
        parser.error('--picture needs the sensor s2')
    if options.layout != 'timematch' and options.target_shift_days is not None:
        parser.error('--target-shift-days needs --layout timematch')
    if options.target_shift_days is None and (options.target_seed, options.target_proportions) != (None, None):
        parser.error('--target-seed and --target-proportions need --target-shift-days')
    there = is_finished(options.out)
    try:
        configs = [make_config(options)]
        if options.layout == 'us-crops':
            configs = make_sites(options, configs[0])
        if options.target_shift_days is not None:
            configs.append(make_target(options, configs[0]))
        regions = [simulate_region(config) for config in configs]
        for region in regions:
            print(describe(region), flush=True)
        write(options, regions)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    size = sum(path.stat().st_size for path in options.out.rglob('*') if path.is_file())
    reused = there and not options.overwrite
    parts = {
        'pastis': f'{options.patches} patches',
        'mtlcc': f'{options.patches} tiles',
        'mts12': f'{options.patches} patches',
        **dict.fromkeys(BEFORE_HARVEST, f'{options.patches} patches'),
        'timematch': f'{len(regions)} domains',
        'us-crops': f'{len(regions)} sites and years',
        'geotiff': f'a scene of {regions[0].config.height * options.repeat} x'
        f' {regions[0].config.width * options.repeat} pixels',
    }[options.layout]
    print(f'{options.out}: {parts}, {size / 1e6:.1f} MB' + (', already complete' if reused else ''))
    if options.picture is not None:
        print(f'Drawing {options.picture}', flush=True)
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        draw_season(regions[0], options.picture)
    return 0


if __name__ == '__main__':
    sys.exit(main())
