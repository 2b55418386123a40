#!/usr/bin/env python3
"""Classify the series of a table: class, probabilities and entropy of each.

    python tools/predict_table.py CONFIG CHECKPOINT new_fields.npz --out predictions.csv

The table (npz, CSV or Parquet) has the layout that the test dataset of the config reads, a SeriesTableDataset, and its
bands; other dates and years, further columns, and labels or none make no difference. One row for each series, in the
order of the table: id, class (number, -1 for a series that was never observed), class_name, probability, entropy
(nats), dates, and p_<class> for each class. A run that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from mmengine.config import DictAction

from mmsits.apis.domains import load_network, open_table
from mmsits.apis.parcel_tables import SUFFIXES, PartedTable, classify_with_progress, series_columns
from mmsits.engine import ConfigError, load_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config that the network was trained with')
    add('checkpoint')
    add('table', type=Path, help='.npz, .csv or .parquet')
    add('--out', type=Path, required=True, help='predictions, .csv or .parquet')
    add('--batch-size', type=int, default=512)
    add('--part-size', type=int, default=8192, help='series between two notes of progress (default: %(default)s)')
    add('--overwrite', action='store_true', help='replace predictions that are there')
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
    if min(arguments.batch_size, arguments.part_size) < 1:
        raise ConfigError('--batch-size and --part-size must be 1 or more')


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    check(arguments)
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        network = load_network(cfg, arguments.checkpoint, arguments.device)
        dataset = open_table(network, arguments.table)
    files = [
        (str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns)
        for file in (Path(arguments.checkpoint), arguments.table)
    ]
    description = dict(model=cfg.model.to_dict(), files=files, series=len(dataset), part_size=arguments.part_size)
    start = time.monotonic()
    rows = classify_with_progress(
        network,
        {arguments.table.name: dataset},
        PartedTable(arguments.out, description),
        part_size=arguments.part_size,
        batch_size=arguments.batch_size,
        describe=series_columns,
    )
    print(f'{arguments.out}: {rows} series in {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
