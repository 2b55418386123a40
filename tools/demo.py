#!/usr/bin/env python3
"""From nothing to a tested model in a few minutes: simulate a region, train a small U-TAE, compare it, draw it.

What exists already is reused: run again, it only reports. `make demo` makes the environment and calls this.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from mmseg.registry import DATASETS
from rich.console import Console
from rich.table import Table

from mmsits.apis import init_model, predict_sample
from mmsits.engine import load_config
from mmsits.evaluation.segmentation_metric import scores
from mmsits.visualization.index_curves import draw_index_curves, index_curves
from mmsits.visualization.region import assemble_patches, draw_region

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/utae/utae_demo_simulated.py'
SIMULATION = (
    *('--layout', 'pastis', '--patches', '100', '--patch-size', '32', '--dates', '20', '--pixel-noise', '0.1'),
    *('--classes', '1', '2', '3', '4', '5', '6', '9'),
)
FOREST = ('--trees', '100', '--seeds', '0', '--max-pixels', '12000')


def run(title: str, *command: str | Path) -> None:
    """Run one of the tools and say how long it took."""
    print(f'\n== {title}\n   python {" ".join(str(part) for part in command)}', flush=True)
    start = time.monotonic()
    status = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(f'The demo stops here, since "{title}" failed (status {status}); the reason stands above.')
    print(f'   {time.monotonic() - start:.0f} s', flush=True)


def print_table(confusions: dict[str, np.ndarray], classes: list[str]) -> dict[str, float]:
    """Per class and over all: IoU and F1 of every classifier on the same test pixels. Returns the mIoU of each."""
    results = {name: scores(confusion) for name, confusion in confusions.items()}
    support = next(iter(results.values())).support
    # One column each, so that names stay whole on a terminal of 80 characters.
    table = Table(title=f'Test fold, {support.sum()} labelled pixels, IoU in %')
    table.add_column('class')
    table.add_column('pixels', justify='right')
    for name in results:
        table.add_column(name, justify='right')
    for label in np.flatnonzero(support):
        cells = [f'{100 * np.nan_to_num(r.per_class["IoU"][label]):.1f}' for r in results.values()]
        table.add_row(classes[label], str(support[label]), *cells)
    table.add_section()
    for key, name in (('OA', 'overall accuracy'), ('mIoU', 'mIoU'), ('macro_F1', 'macro-F1')):
        table.add_row(name, '', *(f'{100 * r.overall[key]:.1f}' for r in results.values()))
    Console().print(table)
    print('mIoU and macro-F1: means over the classes that occur in the reference.')
    return {name: result.overall['mIoU'] for name, result in results.items()}


def print_verdict(mean_iou: dict[str, float]) -> None:
    """Whether the network was worth its while, in a sentence."""
    gain = 100 * (mean_iou['U-TAE'] - mean_iou['random forest'])
    if gain > 0:
        print(
            f'The U-TAE is {gain:.1f} points of mIoU above the random forest: it sees whole fields, not single pixels.'
        )
    else:
        print(f'The U-TAE is {-gain:.1f} points of mIoU below the random forest: too brief a training for this data.')


def draw_pictures(checkpoint: Path, folder: Path) -> list[Path]:
    """Draw the region of the test fold and the NDVI curves of the training folds."""
    cfg = load_config(CONFIG)
    model = init_model(cfg, checkpoint)
    test = DATASETS.build(cfg.test_dataloader.dataset)
    train = DATASETS.build({**cfg.train_dataloader.dataset, 'pipeline': cfg.test_pipeline})
    region = assemble_patches(test, [predict_sample(model, test[i]) for i in range(len(test))])
    region_path, curves_path = folder / 'region.png', folder / 'ndvi_curves.png'
    draw_region(region, test.metainfo, region_path)
    season_start = test.get_data_info(0)['season_start']
    draw_index_curves(
        index_curves(train), train.metainfo['classes'], train.metainfo['palette'], season_start, curves_path
    )
    return [region_path, curves_path]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/demo')
    work_dir = parser.parse_args().work_dir
    cfg = load_config(CONFIG)
    checkpoint = work_dir / f'iter_{cfg.train_cfg.max_iters}.pth'
    tested, forest = work_dir / 'test.json', work_dir / 'baseline.json'

    run('1. Simulate a region', 'tools/dataset_converters/simulate.py', cfg.data_root, *SIMULATION)
    if not checkpoint.exists():
        run('2. Train a small U-TAE', 'tools/train.py', CONFIG, '--work-dir', work_dir, '--resume', 'auto')
        tested.unlink(missing_ok=True)
    if not tested.exists():
        run('3. Test it', 'tools/test.py', CONFIG, checkpoint, '--work-dir', work_dir, '--out', tested)
    if not forest.exists():
        run('4. Fit a random forest', 'tools/analysis_tools/baseline.py', CONFIG, *FOREST, '--out', forest)

    model, baselines = json.loads(tested.read_text()), json.loads(forest.read_text())
    confusions = {'U-TAE': np.array(model['confusion_matrix'])}
    confusions |= {name: np.array(runs[0]) for name, runs in baselines['confusion'].items()}
    mean_iou = print_table(confusions, model['classes'])
    print_verdict(mean_iou)
    print('\nPictures:')
    for path in (*draw_pictures(checkpoint, work_dir), *sorted((work_dir / 'pictures/test').glob('*.png'))):
        print(f'  {path}')


if __name__ == '__main__':
    main()
