"""Turn polygons of fields into regions of interest, masks and patches.

    python tools/dataset_converters/polygons.py fields.gpkg data/my_crops --provinces provinces.gpkg \\
        --calendar calendar.csv --start-year 1400

Fields near each other become a region; its province and the crop calendar tell the harvest. Written are

    regions.gpkg, regions.xlsx                      what to download (tools/dataset_converters/download_series.py)
    regions/<crop>/crop_map/<uid>.tif               masks: 1 the crop, 0 another crop, 255 not known
    patches/<split>/<crop>/crop_map/<uid>_r…_c….tif those of their patches that hold the crop
    patches/regions.csv                             harvest and split of each region
    regions.png, summary.json

No field is in two splits. The folder appears when it is complete.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.crop_calendar import read_calendar
from mmsits.datasets.errors import DataError
from mmsits.datasets.polygons import (
    CROP,
    UNLABELLED,
    FieldMasks,
    Region,
    RegionOptions,
    SkippedRegions,
    box_grid,
    encode_raster,
    encode_workbook,
    make_regions,
    patch_name,
    patch_windows,
    read_fields,
    split_regions,
    write_geopackage,
)
from mmsits.datasets.polygons.tables import regions_frame
from mmsits.datasets.scene.grid import Grid
from mmsits.datasets.scene.vectors import to_pixels
from mmsits.engine.command_line import progress_bar, run_tool
from mmsits.engine.errors import ConfigError
from mmsits.visualization.crop_regions import RegionExample, draw_crop_regions

PUBLISHED = dict(
    crs='EPSG:3857',
    snap=False,
    every_season=True,
    inner_buffer=0.0,
    unlabelled=0,
    all_fields=False,
    patch_grid='published',
)
"""What `--as-published` sets."""


def known_crs(text: str) -> str:
    """A coordinate reference system that there is."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(text).to_string()
    except CRSError as error:
        raise argparse.ArgumentTypeError(f'there is no coordinate reference system {text!r}') from error


def known_crs_or_utm(text: str) -> str:
    """A coordinate reference system that there is, or 'utm', each region's own zone."""
    return text if text == 'utm' else known_crs(text)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description='Turn polygons of fields into regions of interest, masks and patches.')
    add = parser.add_argument
    add('source', type=Path, help='vector file with a column for the crop, or a folder with a file for each crop')
    add('out', type=Path, help='folder to write, must not exist')
    add('--crop-column', default='crop', help='column of the crop (default: %(default)s)')
    add('--layer', help='layer of a file with several')
    add('--assume-crs', type=known_crs, help='CRS of files that name none, such as EPSG:4326')
    add('--rename', nargs='+', default=[], metavar='OLD=NEW', help='names of crops to replace')
    add('--provinces', type=Path, help='vector file of the provinces')
    add('--province-column', default='province', help='its column of names (default: %(default)s)')
    add('--calendar', type=Path, help='crop calendar, .csv or .xlsx')
    add('--calendar-system', choices=['jalali', 'gregorian'], default='jalali', help='default: %(default)s')
    add('--start-year', type=int, help='year in which the seasons of the calendar start')
    add('--seasons', nargs='+', default=[], metavar='CROP=A,B', help='seasons of a crop (default: those named like it)')
    add('--every-season', action='store_true', help='a region for every season (default: the earliest harvest)')
    add('--distance', type=float, default=2000.0, help='metres between fields of a region (default: %(default)s)')
    add(
        '--crs',
        type=known_crs_or_utm,
        default='utm',
        help="'utm', each region in its zone, or one CRS for all (default: %(default)s)",
    )
    add('--pixel', type=float, default=10.0, help='side of a pixel (default: %(default)s)')
    add('--no-snap', dest='snap', action='store_false', help='start boxes at the fields, not at multiples of the pixel')
    add('--inner-buffer', type=float, default=10.0, help='metres taken off along edges (default: %(default)s)')
    add('--unlabelled', type=int, default=UNLABELLED, help='value of unknown pixels (default: %(default)s)')
    add('--own-fields', dest='all_fields', action='store_false', help="draw only a region's own fields")
    add('--patch-size', type=int, default=64, help='pixels (default: %(default)s)')
    add('--patch-grid', choices=['whole', 'published', 'disjoint'], default='whole', help='default: %(default)s')
    add(
        '--splits',
        nargs='+',
        default=['train=0.7', 'val=0.15', 'test=0.15'],
        metavar='NAME=SHARE',
        help='of the fields',
    )
    add('--seed', type=int, default=0, help='of the splits')
    add('--country', default='', help='for the workbook')
    add('--as-published', action='store_true', help=f'the published rules: {", ".join(PUBLISHED)} are set')
    add('--traceback', action='store_true', help='show errors in full')
    return parser


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line; what is given counts before what `--as-published` sets."""
    parser = make_parser()
    if parser.parse_args(argv).as_published:
        parser.set_defaults(**PUBLISHED)
    return parser.parse_args(argv)


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """NAME=VALUE texts as a dict."""
    wrong = [text for text in texts if '=' not in text]
    if wrong:
        raise ConfigError(f'{option} takes NAME=VALUE, not {wrong[0]!r}')
    return dict(text.split('=', 1) for text in texts)


def read_provinces(path: Path, column: str) -> Any:
    """The provinces, with their names in the column `province`."""
    import geopandas

    try:
        frame = geopandas.read_file(path)
    # pyogrio has errors of its own for damaged files.
    except Exception as error:
        raise DataError(
            f'no readable vector file ({type(error).__name__}: {error})', path=path, hint='Correct --provinces.'
        ) from error
    if frame.crs is None:
        raise DataError('the file names no coordinate reference system', path=path, hint='Assign it.')
    if column not in frame.columns:
        raise DataError(
            f'no column {column!r}, there are {list(frame.columns)}', path=path, hint='Correct --province-column.'
        )
    return frame.rename(columns={column: 'province'})


def find_regions(options: argparse.Namespace, fields: Any, provinces: Any) -> tuple[list[Region], list[SkippedRegions]]:
    """Regions with dates and splits."""
    calendar = None
    if options.calendar is not None:
        if provinces is None:
            raise ConfigError('--calendar tells dates by province: give --provinces too')
        calendar = read_calendar(options.calendar, options.calendar_system, options.start_year)
    rules = RegionOptions(
        distance=options.distance,
        crs=options.crs,
        pixel=options.pixel,
        smallest=options.patch_size,
        snap=options.snap,
        ambiguous='every' if options.every_season else 'earliest',
    )
    seasons = {crop: names.split(',') for crop, names in pairs(options.seasons, '--seasons').items()}
    unknown = sorted(set(seasons) - set(fields['crop']))
    if unknown:
        raise ConfigError(f'--seasons: there are no fields of {unknown}, but of {sorted(set(fields["crop"]))}')
    regions, skipped = make_regions(fields, rules, provinces, calendar, seasons)
    try:
        shares = {name: float(share) for name, share in pairs(options.splits, '--splits').items()}
    except ValueError as error:
        raise ConfigError(f'--splits takes NAME=SHARE: {error}') from error
    return split_regions(regions, shares, options.seed, fields), skipped


def write_masks(folder: Path, regions: Sequence[Region], fields: Any, options: argparse.Namespace) -> Counter:
    """Write the mask of each region and its patches; returns counts by (split, crop, what)."""
    masks = FieldMasks(fields, options.inner_buffer, options.unlabelled, options.all_fields)
    (folder / 'patches').mkdir()
    counts: Counter = Counter()
    with progress_bar('masks') as progress:
        for number, region in enumerate(regions):
            grid = box_grid(region.bounds, region.crs, options.pixel)
            mask = masks.draw(region, grid)
            place = Path(region.crop, 'crop_map')
            write(folder / 'regions' / place / f'{region.uid}.tif', mask, grid)
            key = (region.split, region.crop)
            counts[(*key, 'regions')] += 1
            counts[(*key, 'fields')] += len(region.members)
            counts[(*key, 'regions without a pixel')] += not (mask == CROP).any()
            for (row, column), window in patch_windows(mask.shape, options.patch_size, options.patch_grid).items():
                part = mask[window.slices]
                if (part == CROP).any():
                    name = f'{patch_name(region.uid, row, column)}.tif'
                    write(folder / 'patches' / region.split / place / name, part, grid.part(window))
                    counts[(*key, 'patches')] += 1
                    counts[(*key, 'pixels')] += int((part == CROP).sum())
            progress(number + 1, len(regions))
    return counts


def write(path: Path, mask: np.ndarray, grid: Grid) -> None:
    """Write a mask as GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_raster(mask[None], grid, UNLABELLED, ['crop']))


def draw(regions: Sequence[Region], fields: Any, provinces: Any, options: argparse.Namespace) -> bytes:
    """The picture: all regions, and for each crop a mask of middling size."""
    frame = regions_frame(regions)
    masks = FieldMasks(fields, options.inner_buffer, UNLABELLED, options.all_fields)
    examples = []
    for crop in sorted(set(frame['crop'])):
        own = sorted((region for region in regions if region.crop == crop), key=lambda region: len(region.members))
        examples.append(example_of(own[len(own) * 3 // 4], fields, masks, options))
    provinces = None if provinces is None else provinces.to_crs('EPSG:4326')
    order = list(pairs(options.splits, '--splits'))
    frame = frame.iloc[np.argsort([order.index(split) for split in frame['split']], kind='stable')]
    title = f'{len(fields)} fields, {len(regions)} regions ({", ".join(order)})'
    return draw_crop_regions(frame, examples, provinces, title)


def example_of(region: Region, fields: Any, masks: FieldMasks, options: argparse.Namespace) -> RegionExample:
    """A region's mask with outlines and patches."""
    import shapely

    grid = box_grid(region.bounds, region.crs, options.pixel)
    mask = masks.draw(region, grid)
    shapes = to_pixels(fields.geometry.iloc[region.members].to_crs(region.crs).to_numpy(), grid)
    outlines = [shapely.get_coordinates(ring) for shape in shapes for ring in shapely.get_parts(shape.boundary)]
    windows = patch_windows(mask.shape, options.patch_size, options.patch_grid).values()
    harvest = 'no date' if region.dates is None else f'harvest {region.dates.harvest_start}'
    title = (
        f'{region.crop}, {region.province}, {harvest}\n{len(region.members)} fields, {grid.height} x {grid.width} px'
    )
    return RegionExample(title, mask, [w for w in windows if (mask[w.slices] == CROP).any()], outlines)


def summary_of(
    regions: Sequence[Region], skipped: Sequence[SkippedRegions], counts: Counter, splits: Sequence[str]
) -> dict[str, Any]:
    """What was made, by crop."""
    result = {}
    for crop in sorted({region.crop for region in regions} | {entry.crop for entry in skipped}):
        own = [region for region in regions if region.crop == crop]
        harvests = Counter(str(region.dates.harvest_start) for region in own if region.dates is not None)
        result[crop] = dict(
            regions=len(own),
            harvests=dict(sorted(harvests.items())),
            skipped={entry.season: dict(Counter(map(str, entry.provinces))) for entry in skipped if entry.crop == crop},
            splits={
                split: {name: counts[split, crop, name] for name in ('regions', 'fields', 'patches', 'pixels')}
                for split in splits
            },
            regions_without_a_pixel=sum(counts[split, crop, 'regions without a pixel'] for split in splits),
        )
    return result


def table_of(summary: dict[str, Any]) -> Table:
    """The summary for the terminal."""
    table = Table('crop', 'regions', 'skipped', 'harvests', 'fields', 'patches', 'pixels')
    for crop, row in summary.items():
        skipped = sum(sum(entry.values()) for entry in row['skipped'].values())
        harvests = ', '.join(f'{date} ({count})' for date, count in row['harvests'].items()) or '-'
        sums = [
            ' / '.join(str(split[name]) for split in row['splits'].values()) for name in ('fields', 'patches', 'pixels')
        ]
        table.add_row(crop, str(row['regions']), str(skipped), harvests, *sums)
    return table


def main(options: argparse.Namespace) -> None:
    """Run the command."""
    out = options.out
    if out.exists():
        raise DataError('the folder exists already', path=out, hint='Choose another, or take it away.')
    fields = read_fields(
        options.source, options.crop_column, options.layer, options.assume_crs, pairs(options.rename, '--rename')
    )
    provinces = None if options.provinces is None else read_provinces(options.provinces, options.province_column)
    regions, skipped = find_regions(options, fields, provinces)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f'.{out.name}-', dir=out.parent))
    try:
        counts = write_masks(part, regions, fields, options)
        splits = list(pairs(options.splits, '--splits'))
        summary = summary_of(regions, skipped, counts, splits)
        write_geopackage(part / 'regions.gpkg', regions, fields)
        # Beside the patches too: what reads them wants the harvest of each region.
        table = regions_frame(regions).drop(columns='geometry')
        table.to_csv(part / 'patches' / 'regions.csv', index=False)
        workbook = write_workbook(part / 'regions.xlsx', regions, options.country)
        (part / 'regions.png').write_bytes(draw(regions, fields, provinces, options))
        (part / 'summary.json').write_text(json.dumps(summary, indent=1, ensure_ascii=False), encoding='utf-8')
        part.chmod(0o755)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    console = Console(highlight=False, width=max(Console().width, 150))
    console.print(table_of(summary))
    console.print(f'fields, patches and pixels: {" / ".join(splits)}')
    empty = [split for split in splits if not any(region.split == split for region in regions)]
    if empty:
        console.print(
            f'No region is in {", ".join(empty)}: those that touch stay together, so there are too few groups'
        )
    for entry in skipped:
        counted = Counter('no province' if place is None else place for place in entry.provinces)
        places = ', '.join(f'{place} ({count})' for place, count in counted.items())
        console.print(f'{entry.crop}, {entry.season}: no harvest date for {len(entry.provinces)} regions, in {places}')
    if not workbook:
        console.print("regions.xlsx was not written: openpyxl is not installed (pip install 'mmsits[download]')")
    console.print(f'Written to {out}')


def write_workbook(path: Path, regions: Sequence[Region], country: str) -> bool:
    """Write the workbook; False where openpyxl is not installed, for the GeoPackage says the same."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        return False
    path.write_bytes(encode_workbook(regions, country))
    return True


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
