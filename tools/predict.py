#!/usr/bin/env python3
"""Map a scene: class and confidence of every pixel, and the class of every parcel.

    python tools/predict.py CONFIG CHECKPOINT --s2 FOLDER [--s1 FOLDER …] --out map/ [--parcels fields.gpkg]

A folder holds one GeoTIFF for each date. How the files are named and what they hold is as in the SceneDataset of the
config, if it has one; `--sensor-options s2.pattern=… s2.bands=B02,B03 s2.nodata=0 s2.scale=0.0001` says otherwise.
Without a folder, the scene of the config is mapped.

Written are classes.tif (with colours and names, and a style for QGIS), confidence.tif (percent), with --probabilities
probabilities.tif (percent, one band for each class), with --early-every early_date.tif (days since the season start)
and early_confidence.tif (percent), and with --parcels parcels.gpkg: all parcels with all their
columns, class, probabilities and entropy. 255 is nodata. The files appear when they are complete; a run that was
stopped goes on where it was when it is started again, and gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis import MapOptions, SITSInferencer
from mmsits.engine import ConfigError, load_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config of the network')
    add('checkpoint')
    add('--s2', metavar='FOLDER', help='files of the sensor s2; the same as --sensor s2=FOLDER')
    add('--s1', metavar='FOLDER', help='files of the sensor s1')
    add('--sensor', nargs='+', default=[], metavar='NAME=FOLDER', help='files of any other sensor')
    add('--sensor-options', nargs='+', action=DictAction, default={}, metavar='NAME.OPTION=VALUE')
    add('--grid', metavar='NAME', help='sensor whose pixels the map has (default: that of the config, or the first)')
    add('--out', type=Path, required=True, help='folder for the map')
    add('--probabilities', action='store_true', help='write the probability of every class, too')
    add(
        '--early-every',
        type=int,
        metavar='DAYS',
        help='also map since when the class of a pixel has not changed, looking at the season every so many days',
    )
    add('--parcels', type=Path, metavar='FILE', help='polygons to classify')
    add('--parcels-layer', metavar='NAME', help='layer of that file, where it has several')
    add('--labels', type=Path, metavar='FILE', help='raster, polygons or points to compare the map with')
    add('--label-column', metavar='NAME', help='holds the class, in the labels and in the parcels')
    add('--season-start', metavar='DATE', help='YYYY-MM-DD or MM-DD, where it is not that of the checkpoint')
    add('--window-size', type=int, help='pixels that a dense network sees (default: as in the config, else 128)')
    add('--overlap', type=int, help='pixels that neighbouring windows share (default: a quarter)')
    add('--batch-size', type=int, help='windows, or parcels, in a batch (default: 8, on a CPU 2, or 128)')
    add('--pixel-batch', type=int, help='pixels in a batch of pixel-wise networks (default: 32768, on a CPU 8192)')
    add('--tile-size', type=int, help='pixels between two notes of progress (default: 1024, for parcel networks 512)')
    add('--pixels-per-parcel', type=int, default=4096, help='at most, in parcel networks (default: %(default)s)')
    add('--verify', type=int, default=0, metavar='N', help='predict N tiles again, and compare the bytes')
    add('--overwrite', action='store_true', help='replace a map of something else')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    add('--trust-checkpoint', action='store_true', help='open checkpoints that hold code: only if you trust them')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def folders_of(arguments: argparse.Namespace) -> dict[str, str]:
    folders = {name: getattr(arguments, name) for name in ('s2', 's1') if getattr(arguments, name) is not None}
    for text in arguments.sensor:
        name, found, folder = text.partition('=')
        if not (name and found and folder):
            raise ConfigError(f'--sensor {text}: NAME=FOLDER is expected')
        if name in folders:
            raise ConfigError(f'the sensor {name} is given twice: {folders[name]} and {folder}')
        folders[name] = folder
    return folders


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        inferencer = SITSInferencer(cfg, arguments.checkpoint, arguments.device, arguments.season_start)
        scene = inferencer.open_scene(folders_of(arguments), arguments.sensor_options, arguments.grid)
    options = MapOptions(
        probabilities=arguments.probabilities,
        window_size=arguments.window_size,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        pixel_batch=arguments.pixel_batch,
        tile_size=arguments.tile_size,
        pixels_per_parcel=arguments.pixels_per_parcel,
        early_every=arguments.early_every,
    )
    start = time.monotonic()
    columns = (TextColumn('{task.description}'), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        tasks: dict = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        parcels = dict(parcels=arguments.parcels, parcels_layer=arguments.parcels_layer)
        result = inferencer(
            scene,
            arguments.out,
            labels=arguments.labels,
            label_column=arguments.label_column,
            options=options,
            overwrite=arguments.overwrite,
            progress=report,
            **parcels,
        )
        different = []
        if arguments.verify:
            different = inferencer.verify(
                scene, arguments.out, arguments.verify, options=options, progress=report, **parcels
            )
    before = f', {result.resumed} of them finished before' if result.resumed else ''
    print(f'{result.tiles} tiles{before}, in {time.monotonic() - start:.0f} s')
    for path in result.files.values():
        print(path)
    for kind, scores in result.scores.items():
        print(f'{kind}: {json.dumps({name: round(value, 4) for name, value in scores.items()})}')
    if different:
        raise ValueError(f'--verify: tiles {different} came out otherwise than they were written')
    if arguments.verify:
        print(f'{min(arguments.verify, result.tiles)} tiles predicted again: the same bytes')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
