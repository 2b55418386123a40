"""Pack the parcels of TimeMatch domains: one memory-mapped file for each domain instead of one zarr array per parcel.

    python tools/dataset_converters/timematch.py data/timematch
    python tools/dataset_converters/timematch.py data/timematch --domains DK1 FR1 --out data/timematch_packed

The store appears as `<domain>/packed` when it is complete; a run that was stopped goes on where it was.
`TimeMatchDataset` reads it in place of the zarr arrays, which can then be deleted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.errors import DataError
from mmsits.datasets.packed_parcels import is_packed, pack_parcels
from mmsits.datasets.parcel_store import read_domain_metadata
from mmsits.datasets.timematch import BANDS, domain_folder
from mmsits.datasets.zarr_parcels import ZarrParcels
from mmsits.engine.command_line import progress_bar, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pack the parcels of TimeMatch domains into one file each.')
    parser.add_argument('data_root', type=Path, help='folder that holds country/tile/year')
    parser.add_argument('--domains', nargs='+', help='short names or country/tile/year (default: all that are there)')
    parser.add_argument('--out', type=Path, help='data root to write to (default: data_root)')
    parser.add_argument('--overwrite', action='store_true', help='pack domains anew that are packed already')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def find_domains(root: Path) -> list[str]:
    """All folders country/tile/year with metadata.

    Raises:
        DataError: If there is none.
    """
    found = sorted(str(path.parents[1].relative_to(root)) for path in root.glob('*/*/*/meta/metadata.pkl'))
    if not found:
        raise DataError(
            'no domain (country/tile/year/meta/metadata.pkl) is there',
            path=root,
            hint='Give the folder of the data set.',
        )
    return found


def pack(root: Path, domain: str, out: Path, overwrite: bool, console: Console) -> None:
    """Pack one domain and say what came of it."""
    folder = domain_folder(root, domain)
    source = ZarrParcels(folder, read_domain_metadata(folder / 'meta' / 'metadata.pkl'), len(BANDS))
    target = out / folder.relative_to(root)
    if is_packed(target) and not overwrite:
        pack_parcels(source, target)
        console.print(f'{domain}: packed already')
        return
    needed = int(source.sizes.sum()) * len(source.table.days) * len(BANDS) * 2
    target.mkdir(parents=True, exist_ok=True)
    _refuse_full_disk(target, needed)
    start = time.monotonic()
    with progress_bar(domain) as progress:
        pack_parcels(source, target, progress, overwrite)
    console.print(
        f'{domain}: {len(source.table)} parcels, {int(source.sizes.sum())} pixels, {needed / 1e9:.2f} GB in '
        f'{time.monotonic() - start:.0f} s'
    )


def _refuse_full_disk(folder: Path, needed: int) -> None:
    held = sum(path.stat().st_size for path in (folder / 'packed.part').glob('values.npy'))
    free = shutil.disk_usage(folder).free
    if free + held < needed:
        raise DataError(
            f'{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free', path=folder, hint='Choose another --out.'
        )


def main(arguments: argparse.Namespace) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for domain in arguments.domains or find_domains(arguments.data_root):
        pack(arguments.data_root, domain, arguments.out or arguments.data_root, arguments.overwrite, console)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
