"""Draw a map of tools/predict.py as a picture with a legend, for those without a GIS at hand.

python tools/analysis_tools/draw_map.py map/ --out map.png
python tools/analysis_tools/draw_map.py map/ --out map.png --image s2/S2_20220619.tif \
    --labels fields.gpkg --label-column crop
python tools/analysis_tools/draw_map.py map/ --out map.png --early-dates map_early.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.engine.command_line import run_tool
from mmsits.visualization.early_map import draw_early_map
from mmsits.visualization.scene_map import LARGEST, draw_map
from mmsits.visualization.series import TRUE_COLOUR


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw a map as a picture with a legend.')
    parser.add_argument('map', type=Path, help='folder of the map, or a class map')
    parser.add_argument('--out', type=Path, required=True, help='PNG file to write')
    parser.add_argument('--image', type=Path, help='raster of one date to draw beside it')
    parser.add_argument(
        '--bands',
        nargs='+',
        default=list(TRUE_COLOUR),
        help='three bands of it, by name or number (default: %(default)s)',
    )
    parser.add_argument('--labels', type=Path, help='reference to draw beside it: raster, polygons or points')
    parser.add_argument('--label-column', help='its column with the class')
    parser.add_argument('--no-confidence', action='store_true', help='leave out the confidence')
    parser.add_argument(
        '--early-dates', type=Path, help='PNG file to draw since when classes are settled to (predict.py --early-every)'
    )
    parser.add_argument('--size', type=int, default=LARGEST, help='longest side of the maps (default: %(default)s)')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    map_file = arguments.map / 'classes.tif' if arguments.map.is_dir() else arguments.map
    confidence = map_file.with_name('confidence.tif')
    draw_map(
        map_file,
        arguments.out,
        arguments.image,
        arguments.bands,
        arguments.labels,
        arguments.label_column,
        None if arguments.no_confidence or not confidence.is_file() else confidence,
        arguments.size,
    )
    print(arguments.out)
    if arguments.early_dates is not None:
        draw_early_map(map_file.parent, arguments.early_dates, arguments.size)
        print(arguments.early_dates)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
