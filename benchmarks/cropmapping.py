#!/usr/bin/env python3
"""Two questions about CropMapping's network where the truth is known.

`fusion`: what do Sentinel-1 and Sentinel-2 together bring over either alone, under clouds? For each seed a cloudy
region is simulated in the layout of EUCROPMAP; a stream for Sentinel-1, one for Sentinel-2, and both together are
trained on it, as in the published network all of one width.

`labels`: how much of the fields must be marked? For each seed and share, a region is simulated in the layout of ISRC,
and the network is trained with each loss on marked fields, a crop at a time. Scored is the mIoU of the test patches, on
which everything is known: five crops, and all other land.

Regions and results are kept in the work directory, and what is there is not repeated; delete it to start afresh. Runs
are short, so the figures compare inputs and losses on easy data and nothing else.

    python benchmarks/cropmapping.py fusion --seeds 0 1 2
    python benchmarks/cropmapping.py fusion --seeds 0 1 2 --clouds 0.6
    python benchmarks/cropmapping.py labels --seeds 0 --shares 0.05 0.2 1
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmsits.datasets import EuroCropMapDataset, ISRCDataset
from mmsits.datasets.cropmapping import ISRC_CROPS
from mmsits.datasets.simulator import (
    ISRC_CLASSES,
    RegionConfig,
    season_of,
    simulate_region,
    write_eurocropmap,
    write_isrc,
)
from mmsits.datasets.simulator.composites_layout import ISRC_OF_CROP
from mmsits.datasets.transforms import PackSeriesInputs
from mmsits.engine.command_line import run_tool
from mmsits.engine.files import write_atomically
from mmsits.evaluation import confusion_matrix, scores

HARVEST = '2018-08-01'
SENSORS = ('s1', 's2')


@dataclass(frozen=True)
class Settings:
    """What the runs share; results of other settings are not reused."""

    patch_size: int = 32
    rows: int = 7
    columns: int = 8
    field_size: float = 1.0
    fusion_clouds: float = 0.85
    labels_clouds: float = 0.4
    steps: int = 200
    batch_size: int = 8
    width: int = 16
    learning_rate: float = 5e-3

    @property
    def digest(self) -> str:
        """A short name of these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


BINARY = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    'BCE, unmarked is no crop (published)': ('all_crops', BINARY),
    'BCE': ('other_fields', BINARY),
    'focal': ('other_fields', dict(type='BinaryFocalLoss')),
    'Dice': ('other_fields', dict(type='MaskedDiceLoss')),
    'cross-entropy': ('other_fields', dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    'positive-unlabelled': ('other_fields', dict(type='PositiveUnlabelledLoss')),
}
"""Loss -> what is said of unmarked pixels, and config."""


def region_config(settings: Settings, seed: int, clouds: float, **options: Any) -> RegionConfig:
    """A region of so many patches with both sensors."""
    start, end = season_of(HARVEST)
    return RegionConfig(
        height=settings.rows * settings.patch_size,
        width=settings.columns * settings.patch_size,
        season_start=start,
        season_end=end,
        seed=seed,
        sensors=('s2', 's1a'),
        field_size=settings.field_size,
        cloud_cover=clouds,
        highest_cloud_cover=1.0,
        **options,
    )


class Batches:
    """All patches of a split in memory, normalised; the statistics are those of the training patches.

    Args:
        dataset: the split.
        preprocessor: of the model; statistics that it lacks are measured on this dataset.
    """

    def __init__(self, dataset: Any, preprocessor: Any) -> None:
        samples = [dataset[index] for index in range(len(dataset))]
        for sensor in preprocessor.sensors:
            if not preprocessor.has_statistics(sensor):
                preprocessor.set_statistics(sensor, *_moments(samples, sensor))
        for sample in samples:
            sample['inputs'] = {sensor: sample['inputs'][sensor] for sensor in preprocessor.sensors}
        held = preprocessor(pseudo_collate(samples))
        self.inputs, self.targets = held['inputs'], held['targets']

    def __len__(self) -> int:
        return len(self.targets)

    def chosen(self, rows: torch.Tensor, turn: int = 0, mirror: bool = False) -> tuple[dict[str, Any], torch.Tensor]:
        """Inputs and labels of some patches, turned and mirrored."""

        def moved(x: torch.Tensor) -> torch.Tensor:
            x = torch.rot90(x[rows], turn, (-2, -1))
            return x.flip(-1) if mirror else x

        inputs = {
            sensor: series._replace(values=moved(series.values), days=series.days[rows], valid=moved(series.valid))
            for sensor, series in self.inputs.items()
        }
        return inputs, moved(self.targets)


def _moments(samples: Sequence[dict], sensor: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each band over all valid pixels."""
    seen = []
    for sample in samples:
        values, _, valid = sample['inputs'][sensor]
        seen.append(values.movedim(1, 0)[:, valid.expand(len(values), *values.shape[-2:])])
    joined = torch.cat(seen, 1).double()
    return joined.mean(1).tolist(), joined.std(1).tolist()


def build(settings: Settings, sensors: Sequence[str], head: dict[str, Any]) -> Any:
    """A segmentor on one or both sensors, with streams of one width."""
    bands = dict(s1=2, s2=10)
    days = (15, 168)
    if len(sensors) == 1:
        sensor = sensors[0]
        backbone = dict(type='CollapsedUNet', in_channels=bands[sensor], width=settings.width, days=days, sensor=sensor)
    else:
        backbone = dict(
            type='SiameseUNet3D',
            in_channels={s: bands[s] for s in sensors},
            width=settings.width,
            days=days,
            sensor_dropout=0.1,
        )
    model = MODELS.build(
        dict(
            type='TemporalEncoderDecoder',
            data_preprocessor=dict(type='SeriesDataPreprocessor', sensors={s: bands[s] for s in sensors}),
            backbone=backbone,
            decode_head=dict(head, in_channels=settings.width * len(sensors)),
        )
    )
    model.init_weights()
    return model


def train(model: Any, batches: Batches, settings: Settings, seed: int) -> None:
    """Adam, the learning rate falling along a cosine; turned and mirrored patches."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    model.train()
    for _ in range(settings.steps):
        rows = torch.randperm(len(batches), generator=generator)[: settings.batch_size]
        turn, mirror = (int(torch.randint(high, (1,), generator=generator)) for high in (4, 2))
        inputs, targets = batches.chosen(rows, turn, bool(mirror))
        losses = model(inputs, targets, mode='loss')
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def score(model: Any, batches: Batches, classes: int) -> dict[str, float]:
    """OA, mIoU and macro F1 over all labelled pixels."""
    model.eval()
    counts = torch.zeros((classes, classes), dtype=torch.int64)
    for first in range(0, len(batches), 16):
        inputs, targets = batches.chosen(torch.arange(first, min(first + 16, len(batches))))
        counts += confusion_matrix(model.encode_decode(inputs).argmax(1), targets.squeeze(1), classes)
    return scores(counts).overall


def fusion(folder: Path, settings: Settings, seed: int, _: Sequence[float]) -> Iterator[tuple[str, Any]]:
    """The runs of a seed: name, and what makes the result."""
    root = folder / f'cloudy{seed}'

    def run(sensors: Sequence[str]) -> dict[str, Any]:
        config = region_config(settings, seed, settings.fusion_clouds)
        write_eurocropmap(config, root, HARVEST, settings.patch_size)
        parts = {
            split: EuroCropMapDataset(str(root), sensors=sensors, split=split, pipeline=[PackSeriesInputs()])
            for split in ('train', 'test')
        }
        return _run(settings, sensors, seed, dict(type='MultiLabelHead', num_classes=22, prior=0.05), parts)

    for name, sensors in {'S1': ('s1',), 'S2': ('s2',), 'S1 + S2': SENSORS}.items():
        yield name, lambda sensors=sensors: run(sensors)


def labels(folder: Path, settings: Settings, seed: int, shares: Sequence[float]) -> Iterator[tuple[str, Any]]:
    """The runs of a seed: name, and what makes the result."""

    def run(name: str, share: float) -> dict[str, Any]:
        root = folder / f'marked{share:g}_{seed}'
        config = region_config(
            settings, seed, settings.labels_clouds, classes=ISRC_CLASSES, annotated_share=share, background_share=0.2
        )
        write_isrc(config, root, HARVEST, settings.patch_size)
        negatives, loss = LOSSES[name]
        options: dict[str, Any] = dict(pipeline=[PackSeriesInputs()])
        parts = {
            'train': ISRCDataset(str(root), split='train', negatives=negatives, **options),
            'test': ISRCDataset(str(root), split='test', **options),
        }
        if loss['type'] == 'PositiveUnlabelledLoss':
            loss = dict(loss, prior=_priors(config))
        head = dict(type='MultiLabelHead', num_classes=9, prior=0.05, loss_decode=loss)
        if name == 'cross-entropy':
            # Of a softmax, 'not this crop' cannot be told: fields of other crops are labelled in their own patches.
            parts['train'] = ISRCDataset(str(root), split='train', negatives='none', **options)
            head = dict(type='ConvHead', num_classes=9, loss_decode=loss)
        return _run(settings, SENSORS, seed, head, parts)

    for share in shares:
        for name in LOSSES:
            yield f'{share:g} {name}', lambda name=name, share=share: run(name, share)


def _priors(config: RegionConfig) -> list[float]:
    """Share of each crop in the region: what statistics of areas tell an agency. Above 0 for crops that are absent."""
    truth = simulate_region(config).true_class
    stands_for = {number: pastis for pastis, number in ISRC_OF_CROP.items()}
    shares = [float((truth == stands_for.get(number, -1)).mean()) for number in range(1, len(ISRC_CROPS) + 1)]
    return [max(share, 1e-3) for share in shares]


def _run(
    settings: Settings, sensors: Sequence[str], seed: int, head: dict[str, Any], parts: dict[str, Any]
) -> dict[str, Any]:
    start = time.process_time()
    torch.manual_seed(seed)
    model = build(settings, sensors, head)
    batches = {split: Batches(dataset, model.data_preprocessor) for split, dataset in parts.items()}
    train(model, batches['train'], settings, seed)
    found = score(model, batches['test'], len(parts['test'].metainfo['classes']))
    return dict(found, patches=len(batches['train']), seconds=time.process_time() - start)


STUDIES = dict(fusion=fusion, labels=labels)


def main(arguments: argparse.Namespace) -> None:
    init_default_scope('mmseg')
    torch.set_num_threads(1)
    settings = Settings(steps=arguments.steps, fusion_clouds=arguments.clouds)
    folder = arguments.work_dir / settings.digest
    results: dict[str, list[dict[str, Any]]] = {}
    runs = [
        (seed, name, run)
        for seed in arguments.seeds
        for name, run in STUDIES[arguments.study](folder, settings, seed, arguments.shares)
    ]
    for number, (seed, name, run) in enumerate(runs, start=1):
        path = folder / f'{arguments.study} {name} {seed}.json'
        if not path.is_file():
            write_atomically(path, json.dumps(dict(run(), seed=seed), indent=1).encode())
        result = json.loads(path.read_text())
        results.setdefault(name, []).append(result)
        print(f'{number}/{len(runs)} seed {seed}, {name}: mIoU {100 * result["mIoU"]:.1f} %', flush=True)
    text = table(results)
    write_atomically(folder / f'{arguments.study}.md', text.encode())
    print(f'{text}\n{folder / arguments.study}.md')


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Means and standard deviations over seeds, percent."""
    lines = ['| run | mIoU | macro F1 | OA | seeds | seconds |', '|---|---|---|---|---|---|']
    for name, found in results.items():
        cells = []
        for key in ('mIoU', 'macro_F1', 'OA'):
            values = 100 * np.array([result[key] for result in found])
            cells.append(f'{values.mean():.1f} ± {values.std():.1f}')
        seconds = np.mean([result['seconds'] for result in found])
        lines.append(f'| {name} | {" | ".join(cells)} | {len(found)} | {seconds:.0f} |')
    return '\n'.join(lines) + '\n'


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', choices=sorted(STUDIES))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--shares', type=float, nargs='+', default=[0.05, 0.2, 1.0], help='marked fields (labels)')
    parser.add_argument('--clouds', type=float, default=Settings.fusion_clouds, help='mean cloud cover (fusion)')
    parser.add_argument('--steps', type=int, default=Settings.steps)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/benchmark_cropmapping'))
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
