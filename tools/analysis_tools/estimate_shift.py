#!/usr/bin/env python3
"""Estimate, without labels, by how many days regions or groups of parcels are shifted against what a checkpoint was
trained on.

    python tools/analysis_tools/estimate_shift.py CONFIG CHECKPOINT --domains FR1 FR2 --out shifts
    python tools/analysis_tools/estimate_shift.py CONFIG CHECKPOINT --group-by block

The network sees the parcels moved in time by each candidate; where it is surest (scores IS, ENT and AM of TimeMatch),
the season fits. "Add" are the days to add to the parcels' dates: -30 means that their vegetation is 30 days later than
what the network knows. It must have been trained on the season as it is, not on randomly shifted dates.

Several checkpoints, trained with different seeds, are asked one by one: the middle estimate is given, and a warning if
they disagree.

`--out FOLDER` gets shifts.csv, shifts.json (with the score curves) and a picture of the curves for each row.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import DictAction
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmsits.apis.domains import TrainedNetwork, load_network, open_domains, unlabelled_batches
from mmsits.apis.shifts import SCORES, ShiftEstimate, estimate_shift
from mmsits.datasets.groups import sample_groups
from mmsits.engine import ConfigError, load_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool
from mmsits.engine.files import write_atomically
from mmsits.visualization.shift_scores import draw_shift_scores

ALL = ''


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config of the network; its test dataset says where the parcels are')
    add('checkpoints', nargs='+', help='network trained on the source, or several that differ in their seed')
    add('--domains', nargs='+', default=[], help='short names or country/tile/year (default: that of the config)')
    add('--split', choices=['train', 'val', 'test', 'all'], default='all', help='parcels of a domain (default: all)')
    add('--group-by', metavar='COLUMN', help="'block', or a column of the dataset's table or of --groups")
    add('--groups', type=Path, help='table (.csv, .parquet) with the parcels, column id, and the column to group by')
    add('--min-parcels', type=int, default=30, help='smaller groups get no estimate (default: %(default)s)')
    add('--max-parcels', type=int, default=12800, help='of each group, drawn at random (default: %(default)s)')
    add('--pixels', type=int, default=64, help='drawn of each parcel, 0 for all (default: %(default)s)')
    add('--max-shift', type=int, default=60, help='largest candidate in days (default: %(default)s)')
    add('--step', type=int, default=1, help='days between candidates (default: %(default)s)')
    add('--estimator', choices=SCORES, default='AM', help='score that the estimate is by (default: %(default)s)')
    add('--class-shares', nargs='+', metavar='CLASS=SHARE', help='known shares of the classes, for AM')
    add('--source-shares', nargs='+', metavar='CLASS=SHARE', help='of the training data: warn if they moved far')
    add('--separation', type=int, default=10, help='days by which estimates may differ unremarked')
    add('--out', type=Path, help='folder for shifts.csv, shifts.json and pictures')
    add('--batch-size', type=int, default=128)
    add('--seed', type=int, default=0, help='of the parcels drawn')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    add('--trust-checkpoint', action='store_true', help='open checkpoints that hold code: only if you trust them')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def read_shares(option: str, texts: list[str] | None, classes: list[str]) -> list[float] | None:
    """Shares by class, as an option of the command line gives them."""
    if texts is None:
        return None
    given = {}
    for text in texts:
        name, sign, share = text.rpartition('=')
        if not sign or name not in classes or not re.fullmatch(r'\d*\.?\d+(e-?\d+)?', share):
            raise ConfigError(f'{option} {text!r}: expected CLASS=SHARE, the classes are {", ".join(classes)}')
        given[name] = float(share)
    return [given.get(name, 0.0) for name in classes]


def groups_of(dataset: Any, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Name of each group to the positions of its samples."""
    if arguments.group_by is None:
        return {ALL: np.arange(len(dataset))}
    names = np.array(sample_groups(dataset, arguments.group_by, arguments.groups))
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def estimate(
    network: TrainedNetwork, dataset: Any, samples: np.ndarray, arguments: argparse.Namespace, name: str
) -> ShiftEstimate:
    """The shift of some samples of a dataset."""
    order = np.random.default_rng(arguments.seed).permutation(samples)[: arguments.max_parcels]
    batches = [order[first : first + arguments.batch_size] for first in range(0, len(order), arguments.batch_size)]
    loaded = unlabelled_batches(network, dataset, batches)
    classes = list(dataset.metainfo['classes'])
    return estimate_shift(
        network.segmentor,
        track(loaded, name, len(batches), console=Console(stderr=True), transient=True),
        arguments.max_shift,
        arguments.step,
        arguments.estimator,
        read_shares('--class-shares', arguments.class_shares, classes),
        arguments.separation,
        read_shares('--source-shares', arguments.source_shares, classes),
    )


def estimate_with_all(
    networks: list[TrainedNetwork], dataset: Any, samples: np.ndarray, arguments: argparse.Namespace, name: str
) -> tuple[ShiftEstimate, list[int]]:
    """The middle one of the networks' estimates, and the shifts of all."""
    found = [estimate(network, dataset, samples, arguments, name) for network in networks]
    shifts = [one.shift for one in found]
    return sorted(found, key=lambda one: one.shift)[(len(found) - 1) // 2], shifts


def meaning(shift: int) -> str:
    """What days to add say of the vegetation."""
    return 'as in the source' if not shift else f'{abs(shift)} days {"earlier" if shift > 0 else "later"}'


def row_of(
    domain: str, group: str, size: int, found: ShiftEstimate | None, shifts: list[int], separation: int
) -> dict[str, Any]:
    """One line of the results, as it is written."""
    row: dict[str, Any] = dict(domain=domain, group=group, parcels=size)
    if found is None:
        return {**row, 'trusted': False, 'warnings': ['too few parcels for an estimate (--min-parcels)']}
    warnings = list(found.warnings)
    if max(shifts) - min(shifts) > separation:
        warnings.append(f'the networks disagree: {", ".join(f"{shift:+d}" for shift in shifts)} days')
    return {
        **row,
        'scored': found.samples,
        'add_days': found.shift,
        'estimator': found.estimator,
        **{f'add_days_{name}': shift for name, shift in found.by_score.items()},
        'add_days_by_network': ' '.join(f'{shift:+d}' for shift in shifts),
        'disagreement_days': found.disagreement,
        'spread_days': round(found.trust.spread, 2),
        'contrast': found.trust.contrast if np.isfinite(found.trust.contrast) else None,
        'trusted': not warnings,
        'warnings': warnings,
    }


def table_of(rows: list[dict[str, Any]], separation: int) -> Table:
    table = Table('domain', 'group', 'parcels', 'add', 'vegetation', *SCORES, 'scores agree', 'trust')
    for row in rows:
        cells = [row['domain'], row['group'] or 'all', str(row['parcels'])]
        if 'add_days' not in row:
            table.add_row(*cells, '-', 'unknown', '-', '-', '-', '-', 'no')
            continue
        days = row['disagreement_days']
        table.add_row(
            *cells,
            f'{row["add_days"]:+d}',
            meaning(row['add_days']),
            *(f'{row[f"add_days_{name}"]:+d}' for name in SCORES),
            f'{"yes" if days <= separation else "no"}, within {days} days',
            'yes' if row['trusted'] else 'no',
        )
    return table


def write_results(folder: Path, rows: list[dict[str, Any]], found: list[ShiftEstimate | None]) -> None:
    """shifts.csv, shifts.json, and the curves of each row as a picture."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows({**row, 'warnings': ' | '.join(row['warnings'])} for row in rows)
    write_atomically(folder / 'shifts.csv', text.getvalue().encode())
    full = []
    for row, one in zip(rows, found, strict=True):
        curves = (
            {} if one is None else dict(candidates=one.candidates, curves=one.curves, class_shares=one.class_shares)
        )
        full.append({**row, **curves})
        if one is not None:
            title = ' '.join(part for part in (row['domain'], row['group'], f'{row["parcels"]} parcels') if part)
            name = re.sub(r'[^\w.-]+', '_', '-'.join(part for part in (row['domain'], row['group']) if part))
            picture = draw_shift_scores(one.candidates, one.curves, one.shift, f'{title}, chosen by {one.estimator}')
            write_atomically(folder / f'{name}.png', picture)
    write_atomically(folder / 'shifts.json', json.dumps(full, indent=1, ensure_ascii=False).encode())


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    if min(arguments.batch_size, arguments.min_parcels, arguments.max_parcels) < 1 or arguments.pixels < 0:
        raise ConfigError('--batch-size, --min-parcels and --max-parcels must be 1 or more, --pixels 0 or more')
    if arguments.groups is not None and arguments.group_by is None:
        raise ConfigError('--groups needs --group-by: the column to group by')
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        networks = [load_network(cfg, checkpoint, arguments.device) for checkpoint in arguments.checkpoints]
        if len({str(network.meta.get('classes')) for network in networks}) > 1:
            raise ConfigError(
                'the checkpoints tell different classes apart: give those of one training with other seeds'
            )
        split = None if arguments.split == 'all' else arguments.split
        datasets = open_domains(networks[0], arguments.domains, split, arguments.pixels or None)
    rows, results = [], []
    for domain, dataset in datasets.items():
        for group, samples in groups_of(dataset, arguments).items():
            large = len(samples) >= arguments.min_parcels
            found, shifts = None, []
            if large:
                found, shifts = estimate_with_all(networks, dataset, samples, arguments, f'{domain} {group}')
            results.append(found)
            rows.append(row_of(domain, group, len(samples), found, shifts, arguments.separation))
    # Not narrower where there is no terminal.
    console = Console(highlight=False, width=max(Console().width, 120))
    console.print(table_of(rows, arguments.separation))
    for row in rows:
        for warning in row['warnings']:
            console.print(f'{row["domain"]} {row["group"] or "all"}: {warning}', markup=False, soft_wrap=True)
    if arguments.out:
        write_results(arguments.out, rows, results)
        console.print(f'Written to {arguments.out}', markup=False)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
