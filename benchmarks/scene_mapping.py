#!/usr/bin/env python3
"""What mapping a scene costs: largest memory, and pixels per second, for scenes of several sizes.

A region of 256×256 pixels is simulated, with clouds, and laid side by side to scenes of 1024, 2048 … pixels, written as
GeoTIFFs. Networks with random weights, one of each kind (single series, windows, parcels), map them by
tools/predict.py, each in a process of its own, one thread on the CPU. Memory is the largest resident set of that
process (Linux); `start` is what importing the library and opening the network takes of it.

    python benchmarks/scene_mapping.py --sizes 1024 2048 4096 --dates 24

The scenes stay in `--work-dir` and are not written again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from rich.console import Console
from rich.table import Table

import mmsits  # noqa: F401 (registers everything)

ROOT = Path(__file__).resolve().parents[1]
REGION = 256
BANDS = ('B02', 'B03', 'B04', 'B08')
CLASSES = ('meadow', 'wheat', 'corn', 'barley', 'rapeseed', 'beet')
UNIT = 'reflectance x 10000'
_LTAE = dict(type='LTAE', in_channels=32, n_head=4, d_k=8, d_model=64, mlp=[64, 32])
_HEAD = dict(type='MLPHead', in_channels=32, hidden_channels=(32,), num_classes=len(CLASSES))
NETWORKS = {
    'pixels': dict(backbone=dict(type='PixelwiseBackbone', in_channels=4, encoder=_LTAE), decode_head=_HEAD),
    'windows': dict(
        backbone=dict(
            type='UTAE', in_channels=4, encoder_widths=(16, 16, 32), decoder_widths=(16, 16, 32), n_head=4, d_model=64
        ),
        decode_head=dict(type='UTAEHead', in_channels=16, channels=16, num_classes=len(CLASSES)),
    ),
    'parcels': dict(
        backbone=dict(type='PixelSetBackbone', in_channels=4, mlp1=(16, 32), mlp2=(32,), encoder=_LTAE),
        decode_head=_HEAD,
    ),
}
# A process that was forked inherits the largest memory of its parent as that of its own (ru_maxrss); this is its own.
REPORTED = """
import atexit, re, runpy, sys, time
def report(path=sys.argv[1]):
    found = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())
    open(path, 'w').write(f'{int(found[1]) / 1024} {time.process_time()}')
atexit.register(report)
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def write_scene(folder: Path, size: int, dates: int) -> Path:
    """A scene of size×size pixels; of an earlier run, if there is one."""
    out = folder / f'scene_{size}_{dates}'
    if not (out / 'fields.gpkg').exists():
        options = ['--layout', 'geotiff', '--patches', 1, '--patch-size', REGION, '--repeat', size // REGION]
        options += ['--dates', dates, '--season-start', '2018-01-01', '--bands', *BANDS]
        run('tools/dataset_converters/simulate.py', out, *options)
    return out


def write_network(folder: Path, kind: str) -> tuple[Path, Path]:
    """Config and checkpoint of a network with random weights."""
    statistics = dict(s2=dict(mean=[1500.0] * len(BANDS), std=[1500.0] * len(BANDS)))
    preprocessor = dict(type='SeriesDataPreprocessor', sensors=dict(s2=len(BANDS)), statistics=statistics)
    model = dict(type='TemporalEncoderDecoder', data_preprocessor=preprocessor, **NETWORKS[kind])
    clouds = dict(type='mask', folder='s2_clouds')
    dataset = dict(
        type='SceneDataset',
        sensors=dict(s2=dict(folder='s2', unit=UNIT, clouds=clouds)),
        pipeline=[dict(type='PackSeriesInputs')],
    )
    cfg = dict(default_scope='mmseg', custom_imports=dict(imports=['mmsits']), model=model)
    config, checkpoint = folder / f'{kind}.py', folder / f'{kind}.pth'
    config.write_text(Config(dict(**cfg, test_dataloader=dict(dataset=dataset))).pretty_text)
    init_default_scope('mmseg')
    torch.manual_seed(0)
    meta = dict(classes=CLASSES, bands=dict(s2=BANDS), units=dict(s2=UNIT), season_start='01-01')
    torch.save(dict(state_dict=MODELS.build(model).state_dict(), meta=dict(dataset_meta=meta)), checkpoint)
    return config, checkpoint


def run(script: Path | str, *arguments: object) -> tuple[float, float, float]:
    """Run a script; largest memory (MiB), seconds on the clock and of the processor."""
    start = time.monotonic()
    with tempfile.NamedTemporaryFile('r') as report:
        command = [sys.executable, '-c', REPORTED, report.name, script, *arguments]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
        subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        memory, busy = report.read().split()
    return float(memory), time.monotonic() - start, float(busy)


def start_memory(folder: Path, config: Path, checkpoint: Path) -> float:
    """Memory (MiB) that a network needs before it sees a scene."""
    script = folder / 'start.py'
    script.write_text(f'from mmsits.apis import SITSInferencer\nSITSInferencer({str(config)!r}, {str(checkpoint)!r})\n')
    return run(script)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', type=int, nargs='+', default=[1024, 2048], help=f'multiples of {REGION}')
    parser.add_argument('--dates', type=int, default=24)
    parser.add_argument('--kinds', nargs='+', choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/scene_mapping'))
    arguments = parser.parse_args()
    folder = arguments.work_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    table = Table('network', 'scene', 'start MiB', 'largest MiB', 'seconds', 'pixels / s of processor')
    for kind in arguments.kinds:
        network = write_network(folder, kind)
        start = start_memory(folder, *network)
        for size in arguments.sizes:
            scene = write_scene(folder, size, arguments.dates)
            options = ['--s2', scene / 's2', '--out', folder / f'map_{kind}_{size}', '--overwrite', '--device', 'cpu']
            options += ['--parcels', scene / 'fields.gpkg'] if kind == 'parcels' else []
            (folder / f'map_{kind}_{size}' / 'manifest.json').unlink(missing_ok=True)
            memory, seconds, busy = run('tools/predict.py', *network, *options)
            row = (f'{start:.0f}', f'{memory:.0f}', f'{seconds:.0f}', f'{size**2 / busy:.0f}')
            table.add_row(kind, f'{size}×{size}×{arguments.dates}', *row)
    Console().print(table)


if __name__ == '__main__':
    main()
