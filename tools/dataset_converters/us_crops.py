"""Pack the splits of SITS-MoCo's data set: one file each, `<year>/packed/<split>.npz`, without pickled objects.

    python tools/dataset_converters/us_crops.py data/us_crops
    python tools/dataset_converters/us_crops.py data/us_crops --years 2019 --splits train unlabelled

Reads the authors' object arrays in `<year>/npy` without running anything they hold, or, where there are none, one CSV
file for each pixel. `USCropsDataset` reads the packed files in their place, which can then be deleted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.errors import DataError
from mmsits.datasets.us_crops import SPLITS, pack_us_crops, read_published
from mmsits.engine import write_atomically
from mmsits.engine.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pack the splits of SITS-MoCo's data set into one file each.")
    parser.add_argument('data_root', type=Path, help='folder of the years')
    parser.add_argument('--years', nargs='+', type=int, help='default: all that are there')
    parser.add_argument('--splits', nargs='+', choices=sorted(SPLITS), help='default: all that are there')
    parser.add_argument('--overwrite', action='store_true', help='pack splits anew that are packed already')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def find_splits(folder: Path) -> list[str]:
    """The splits of a year that there is something of."""
    listed = [split for split in SPLITS if (folder / f'{split}.csv').is_file()]
    unlabelled = (folder / 'Unsupervised').is_dir() or any((folder / 'npy').glob(f'{SPLITS["unlabelled"]}_*.npy'))
    return [*listed, 'unlabelled'] if unlabelled else listed


def main(arguments: argparse.Namespace) -> None:
    console = Console()
    years = arguments.years or sorted(int(path.name) for path in arguments.data_root.glob('[0-9]' * 4))
    wanted = [
        (year, split) for year in years for split in arguments.splits or find_splits(arguments.data_root / str(year))
    ]
    if not wanted:
        raise DataError(
            'there is no year with a list of samples', path=arguments.data_root, hint='Expected <year>/train.csv.'
        )
    for year, split in track(wanted, 'Packing splits', console=console):
        path = arguments.data_root / str(year) / 'packed' / f'{split}.npz'
        if path.exists() and not arguments.overwrite:
            console.print(f'{path} is there')
            continue
        # A packed file that is there stays until the new one is complete: the authors' files may be gone.
        series = read_published(arguments.data_root, year, split)
        write_atomically(path, pack_us_crops(series))
        console.print(f'{path}: {len(series.ids)} series, {len(series.values)} dates')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
