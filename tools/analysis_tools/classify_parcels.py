#!/usr/bin/env python3
"""Classify all parcels of a region into a table: class, probabilities and entropy of each.

    python tools/analysis_tools/classify_parcels.py CONFIG CHECKPOINT --domains FR1 --out parcels.parquet

Parcels are read from the packed store (tools/dataset_converters/timematch.py) or from zarr arrays, in the dataset of
the config's test_dataloader. No labels are needed. Columns: domain, id, class (empty for a parcel that was never
observed), probability, entropy (nats), pixels, dates, and p_<class> for each class. The table appears when it is
complete; a run that was stopped goes on where it was when it is started again.

`--shift DAYS` moves the parcels' dates, by what tools/analysis_tools/estimate_shift.py says is to be added;
`--shifts shifts.csv`, which that tool wrote, those of each domain, or of each group (`--group-by`), by their own days.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import DictAction

from mmsits.apis.domains import ensemble_digests, load_network, open_domains
from mmsits.apis.parcel_tables import SUFFIXES, PartedTable, classify_with_progress
from mmsits.apis.shifts import read_shifts
from mmsits.engine import ConfigError, load_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool
from mmsits.version import __version__


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config of the network; its test dataset says where the parcels are')
    add('checkpoint')
    add('--out', type=Path, required=True, help='table to write, .csv or .parquet')
    add('--domains', nargs='+', default=[], help='short names or country/tile/year (default: that of the config)')
    add('--split', choices=['train', 'val', 'test', 'all'], default='all', help='parcels of a domain (default: all)')
    add('--shift', type=int, default=0, help="days added to the parcels' dates (default: 0)")
    add('--shifts', type=Path, help='shifts.csv of estimate_shift.py; what has no estimate there stays where it is')
    add('--group-by', metavar='COLUMN', help='that the shifts were estimated by')
    add('--groups', type=Path, help='table (.csv, .parquet) with the column id and that to group by')
    add('--pixels', type=int, default=0, help='drawn of each parcel, 0 for all (default: 0)')
    add('--batch-size', type=int, default=128)
    add('--max-pixels', type=int, default=2**13, help='in a batch, which bounds the memory (default: %(default)s)')
    add('--part-size', type=int, default=2048, help='parcels between two notes of progress (default: %(default)s)')
    add('--workers', type=int, default=0, help='processes that read (default: 0, read in this one)')
    add('--overwrite', action='store_true', help='replace a table that is there')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    add('--trust-checkpoint', action='store_true', help='open checkpoints that hold code: only if you trust them')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> None:
    if arguments.out.suffix not in SUFFIXES:
        raise ConfigError(f'--out {arguments.out}: a table is written as {" or ".join(SUFFIXES)}')
    if arguments.out.exists() and not arguments.overwrite:
        raise ConfigError(f'--out {arguments.out} is there already: give another name, or --overwrite')
    if min(arguments.batch_size, arguments.max_pixels, arguments.part_size) < 1:
        raise ConfigError('--batch-size, --max-pixels and --part-size must be 1 or more')
    if arguments.shifts is not None and arguments.shift:
        raise ConfigError('--shift and --shifts: give one of them')
    if arguments.shifts is None and (arguments.group_by or arguments.groups):
        raise ConfigError('--group-by and --groups need --shifts: the table with the days of each group')
    if min(arguments.pixels, arguments.workers) < 0:
        raise ConfigError('--pixels and --workers must be 0 or more')


def stores_of(dataset: Any) -> list[tuple[str, int]]:
    """Files or folders that the parcels are read from, with the time of their last change."""
    paths = [Path(store.path) for store in getattr(dataset, 'stores', {}).values()]
    return [(str(path.resolve()), path.stat().st_mtime_ns) for path in paths]


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    check(arguments)
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        network = load_network(cfg, arguments.checkpoint, arguments.device)
        split = None if arguments.split == 'all' else arguments.split
        datasets = open_domains(network, arguments.domains, split, arguments.pixels or None)
    shifts: dict[str, int | np.ndarray] = dict.fromkeys(datasets, arguments.shift)
    if arguments.shifts is not None:
        shifts.update(read_shifts(arguments.shifts, datasets, arguments.group_by, arguments.groups))
    file = Path(arguments.checkpoint)
    description = dict(
        model=cfg.model.to_dict(),
        data=cfg.test_dataloader.dataset.to_dict(),
        checkpoint=(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns),
        domains={name: len(dataset) for name, dataset in datasets.items()},
        options=[arguments.split, arguments.pixels, arguments.part_size],
        shifts={name: np.asarray(days).tolist() for name, days in shifts.items()},
        stores={name: stores_of(dataset) for name, dataset in datasets.items()},
        meta={name: network.meta.get(name) for name in ('bands', 'classes', 'units', 'season_start')},
        ensemble=ensemble_digests(network),
        shift=network.shift,
        device=network.device.type,
        version=__version__,
    )
    start = time.monotonic()
    rows = classify_with_progress(
        network,
        datasets,
        PartedTable(arguments.out, description),
        shifts=shifts,
        part_size=arguments.part_size,
        batch_size=arguments.batch_size,
        max_pixels=arguments.max_pixels,
        num_workers=arguments.workers,
    )
    print(f'{arguments.out}: {rows} parcels in {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
