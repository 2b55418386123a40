"""Pack a scene into memory-mapped files, from which training reads many times faster than from its rasters.

    python tools/dataset_converters/pack.py configs/own_data/utae_scene.py --out data/my_scene_packed

writes the windows of each data loader to `<out>/train`, `<out>/val` and `<out>/test`; `PackedWindows` reads them, and
trains with the same numbers. A config with `samples = 'parcels'` (or 'pixels') gives one domain in the form of
TimeMatch, which `TimeMatchDataset` reads and adapts from and to:

    python tools/dataset_converters/pack.py configs/own_data/pse_ltae_scene.py --out data/domains \\
        --domain kenya/36NYF/2021 --inner-buffer 20 --min-area 10000 --block-size 10980

These are the published preparation's numbers: polygons shrunk by 20 m, at least 1 ha left, and only parcels that lie
wholly within a block of 10 980 m. Without them, those of the config's `labels` hold, and there are no blocks.

Of SloveniaDataset and BrandenburgDataset whole patches are packed, for `PackedWindows` too:

    python tools/dataset_converters/pack.py configs/slgt2net/slgt2net_40k_slovenia-s1-224x224.py --out data/packed

Of MTLCCDataset whole tiles, with all their dates:

    python tools/dataset_converters/pack.py CONFIG --out data/mtlcc_packed

What is written appears under its name when it is complete; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmengine.config import DictAction
from rich.console import Console

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets.errors import DataError
from mmsits.datasets.inspection import SPLITS, build_dataset, dataset_configs
from mmsits.datasets.packed_mat import pack_mat
from mmsits.datasets.packed_mtlcc import pack_mtlcc
from mmsits.datasets.packed_windows import pack_windows
from mmsits.datasets.scene.packing import class_table, pack_domain
from mmsits.engine import load_config
from mmsits.engine.command_line import building, progress_bar, run_tool
from mmsits.engine.files import write_atomically

MAT_TYPES = ('SloveniaDataset', 'BrandenburgDataset')
PACK: dict[str, Callable] = dict.fromkeys(MAT_TYPES, pack_mat) | dict(MTLCCDataset=pack_mtlcc)
PACKED_TYPES = ('SceneDataset', 'MTLCCDataset', *MAT_TYPES)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pack a scene into memory-mapped files.')
    parser.add_argument('config', help='config file; the types of its datasets: SceneDataset, or of MATLAB files')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=list(SPLITS), help='data loaders (default: all)')
    parser.add_argument('--domain', help='parcels and pixels: name country/tile/year of the domain')
    parser.add_argument('--sensor', help='parcels and pixels: which sensor (default: the first)')
    parser.add_argument('--inner-buffer', type=float, help='metres by which polygons shrink (default: the config)')
    parser.add_argument('--min-area', type=float, help='least area in m² behind that (default: the config)')
    parser.add_argument('--block-size', type=float, help='metres; leave out parcels that cross a block (default: none)')
    parser.add_argument('--overwrite', action='store_true', help='pack anew what is packed already')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def scene_configs(arguments: argparse.Namespace) -> dict[str, dict]:
    """Dataset configs of the loaders, without pipelines.

    Raises:
        ValueError: If one is of a type that cannot be packed.
    """
    configs = dataset_configs(load_config(arguments.config, arguments.cfg_options), arguments.split)
    others = {split: config['type'] for split, config in configs.items() if config['type'] not in PACKED_TYPES}
    if others:
        raise ValueError(f'datasets of the types {PACKED_TYPES} are packed; these are not: {others}')
    # All samples are packed; which of them training takes is said where they are read.
    return {split: {**config, 'pipeline': [], 'label_fraction': None} for split, config in configs.items()}


def report(console: Console, what: str, path: Path, start: float) -> None:
    size = sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
    console.print(f'{path}: {what}, {size / 1e9:.3f} GB, in {time.monotonic() - start:.0f} s', markup=False)


def pack_all_windows(configs: dict[str, dict], arguments: argparse.Namespace, console: Console) -> None:
    if arguments.domain is not None:
        raise ValueError('--domain is for parcels and pixels; these are windows')
    for split, config in configs.items():
        start = time.monotonic()
        with building():
            dataset = build_dataset(config)
        with progress_bar(split) as progress:
            path = PACK.get(config['type'], pack_windows)(dataset, arguments.out / split, progress, arguments.overwrite)
        report(console, f'{len(dataset)} windows', path, start)
    console.print(
        f"Read them with dataset=dict(type='PackedWindows', data_root='{arguments.out}', split='train', pipeline=…).",
        markup=False,
    )


def pack_all_parcels(configs: dict[str, dict], arguments: argparse.Namespace, console: Console) -> None:
    if arguments.domain is None or len(arguments.domain.strip('/').split('/')) != 3:
        raise ValueError(
            'parcels and pixels are packed as a domain: give --domain country/tile/year, or pack windows of the scene '
            'instead (--cfg-options samples=windows)'
        )
    start = time.monotonic()
    # One store holds all splits, which TimeMatchDataset draws by itself.
    config = {**next(iter(configs.values())), 'split': None, 'test_mode': True}
    given = dict(inner_buffer=arguments.inner_buffer, min_area=arguments.min_area)
    config['labels'] = {**config['labels'], **{name: value for name, value in given.items() if value is not None}}
    with building():
        dataset = build_dataset(config)
    folder = arguments.out / arguments.domain.strip('/')
    with progress_bar(arguments.domain) as progress:
        path = pack_domain(
            dataset, folder, arguments.sensor, arguments.block_size, progress, overwrite=arguments.overwrite
        )
    report(console, f'{len(dataset)} parcels', path, start)
    country = arguments.domain.strip('/').split('/')[0]
    table = arguments.out / f'{country}_classes.yml'
    write_atomically(table, class_table(dataset.metainfo['classes']).encode())
    console.print(
        f"Read it with dataset=dict(type='TimeMatchDataset', data_root='{arguments.out}', "
        f"source='{arguments.domain.strip('/')}', class_tables=dict({country}='{table}'), pipeline=…).",
        markup=False,
    )


PACKERS: dict[str, Callable[[dict[str, dict], argparse.Namespace, Console], None]] = dict(
    windows=pack_all_windows, parcels=pack_all_parcels, pixels=pack_all_parcels
)


def main(arguments: argparse.Namespace) -> None:
    console = Console(soft_wrap=True, highlight=False)
    configs = scene_configs(arguments)
    kinds = {config.get('samples', 'windows') for config in configs.values()}
    if len(kinds) > 1:
        raise ValueError(f'the data loaders have samples of several kinds, {sorted(kinds)}: choose some with --split')
    (kind,) = kinds
    if kind not in PACKERS:
        raise DataError(f'samples must be one of {list(PACKERS)}, got {kind!r}')
    PACKERS[kind](configs, arguments, console)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
