"""Download the six monthly composites before the harvest of every region, from a STAC catalogue.

    python tools/dataset_converters/download_series.py data/my_crops \\
        --stac https://planetarycomputer.microsoft.com/api/stac/v1 --sign planetary_computer:sign

`data/my_crops` is the folder that tools/dataset_converters/polygons.py wrote. Images go to
`regions/<crop>/{s1,s2}/<1..6>/<uid>.tif`, on the pixels of the masks, then the patches are cut. The tool may be stopped
and started again at any time: complete files are kept, damaged ones made again, failures tried several times.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.download import (
    Catalogue,
    DownloadOptions,
    DownloadReport,
    OpticalComposites,
    RadarComposites,
    download_region,
    tiles_of,
)
from mmsits.datasets.download.composites import DEFAULT_MASK, PUBLISHED_MASK
from mmsits.datasets.errors import DataError
from mmsits.datasets.monthly_composites import read_harvest_dates
from mmsits.datasets.polygons import RegionBox, cut_region, read_regions
from mmsits.datasets.polygons.patches import cut_labels
from mmsits.engine.command_line import progress_bar, run_tool
from mmsits.engine.files import write_atomically


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description='Download the monthly composites before the harvest of every region.')
    add = parser.add_argument
    add('folder', type=Path, help='folder of polygons.py; holds regions.gpkg')
    add('--regions', type=Path, help='table of regions (default: regions.gpkg, else regions.xlsx, of the folder)')
    add('--stac', required=True, help='address of an API, or address or path of a catalog.json')
    add('--sign', help="'module:function' that signs items, such as planetary_computer:sign")
    add('--sensors', nargs='+', choices=['s1', 's2'], default=['s1', 's2'], help='default: both')
    add('--s1-collection', default='sentinel-1-rtc', help='default: %(default)s')
    add('--s1-unit', choices=['power', 'decibel'], default='power', help='of its images (default: %(default)s)')
    add('--s2-collection', default='sentinel-2-l2a', help='default: %(default)s')
    add(
        '--s2-offset',
        type=float,
        help='taken off the stored numbers of all its images (default: what the catalogue tells of each)',
    )
    mask = ' '.join(map(str, DEFAULT_MASK))
    add(
        '--scl-mask',
        nargs='+',
        type=int,
        default=DEFAULT_MASK,
        help=f'scene classes left out (default: {mask})',
    )
    add('--crops', nargs='+', help='only these')
    add('--labels', help='raster of EUCROPMAP, path or address: its codes become the masks, without a folder by crop')
    add('--pixel', type=float, default=10.0, help='of regions without a mask (default: %(default)s)')
    add('--largest', type=int, default=2560, help='pixels a side above which a region is tiled (default: %(default)s)')
    add('--attempts', type=int, default=5, help='per file (default: %(default)s)')
    add('--first-wait', type=float, default=2.0, help='seconds, doubled each time (default: %(default)s)')
    add(
        '--as-published',
        action='store_true',
        help='scene classes 8 9 11 alone are left out; patches are cut to -25 … 15, and 0 stands for what is missing',
    )
    add('--traceback', action='store_true', help='show errors in full')
    return parser


def find_regions(options: argparse.Namespace) -> list[RegionBox]:
    """The regions to download, large ones as tiles."""
    candidates = (
        [options.regions] if options.regions else [options.folder / f'regions.{end}' for end in ('gpkg', 'xlsx')]
    )
    path = next((path for path in candidates if path.is_file()), candidates[0])
    regions = [region for region in read_regions(path) if options.crops is None or region.crop in options.crops]
    if not regions:
        raise DataError(f'no region is of {options.crops}', path=path, hint='Correct --crops.')
    # Regions of masks are never tiled: image and mask have one grid.
    whole = [
        [region]
        if (options.folder / 'regions' / region.crop / 'crop_map' / f'{region.uid}.tif').exists()
        else tiles_of(region, options.pixel, options.largest)
        for region in regions
    ]
    return [tile for tiles in whole for tile in tiles]


def cut(region: RegionBox, options: argparse.Namespace) -> int:
    """Cut the region's images into patches; returns how many were written."""
    regions, patches = options.folder / 'regions', options.folder / 'patches'
    cleaning = dict(limits=(-25.0, 15.0), fill=0.0) if options.as_published else {}
    if options.labels is None:
        return cut_region(regions, patches, region.crop, region.uid, **cleaning)
    cut_labels(regions / 'crop_map' / f'{region.uid}.tif', patches / 'crop_map')
    return cut_region(regions, patches, '', region.uid, **cleaning)


def main(options: argparse.Namespace) -> None:
    """Run the command."""
    regions = find_regions(options)
    catalogue = Catalogue(options.stac, options.sign)
    classes = PUBLISHED_MASK if options.as_published else options.scl_mask
    kinds = dict(
        s1=RadarComposites(options.s1_collection, options.s1_unit),
        s2=OpticalComposites(options.s2_collection, classes, options.s2_offset),
    )
    rules = DownloadOptions(
        options.folder / 'regions',
        options.labels is None,
        options.pixel,
        options.attempts,
        options.first_wait,
        options.labels,
    )
    reports: dict[str, DownloadReport] = {}
    failures: dict[str, str] = {}
    patches = 0
    with progress_bar('regions') as progress:
        for number, region in enumerate(regions):
            try:
                composites = [kinds[sensor] for sensor in options.sensors]
                reports[region.uid] = download_region(region, catalogue, composites, rules)
                patches += cut(region, options)
            except DataError as error:
                failures[region.uid] = str(error)
            progress(number + 1, len(regions))
    if options.labels is not None:
        write_harvests(regions, options.folder / 'patches' / 'regions.csv')
    report(regions, reports, failures, patches, options)


def write_harvests(regions: list[RegionBox], path: Path) -> None:
    """What reads the patches wants the harvest of each region, by the names that tiles have; lines of other regions
    that stand there stay."""
    held = read_harvest_dates(path) if path.is_file() else {}
    held |= {region.uid: region.harvest for region in regions if region.harvest is not None}
    lines = ['uuid,harvest_date', *(f'{uid},{harvest.isoformat()}' for uid, harvest in held.items())]
    write_atomically(path, ('\n'.join(lines) + '\n').encode())


def report(
    regions: list[RegionBox],
    reports: dict[str, DownloadReport],
    failures: dict[str, str],
    patches: int,
    options: argparse.Namespace,
) -> None:
    """Say what was done and what was not; fails where a region could not be had."""
    console = Console(highlight=False, soft_wrap=True)
    sums = {name: sum(getattr(entry, name) for entry in reports.values()) for name in ('written', 'kept')}
    repaired = sum(len(entry.repaired) for entry in reports.values())
    console.print(
        f'{len(reports)} of {len(regions)} regions: {sums["written"]} images made ({repaired} again, as the file was '
        f'damaged), {sums["kept"]} were there; {patches} patches cut'
    )
    for sensor in options.sensors:
        without = [uid for uid, entry in reports.items() if all(f'{sensor}/{n}' in entry.empty for n in range(1, 7))]
        if without:
            console.print(
                f'{len(without)} regions lie outside the imagery of {sensor}, or it has none of their months: '
                f'{", ".join(without[:5])}{" …" if len(without) > 5 else ""}'
            )
    log = options.folder / 'download_failures.json'
    if not failures:
        log.unlink(missing_ok=True)
        return
    write_atomically(log, json.dumps(failures, indent=1).encode())
    name, first = next(iter(failures.items()))
    raise DataError(
        f'{len(failures)} regions could not be had; the first, {name}: {first}',
        path=log,
        hint='Run the same command again: what is complete is kept.',
    )


if __name__ == '__main__':
    sys.exit(run_tool(main, make_parser().parse_args()))
