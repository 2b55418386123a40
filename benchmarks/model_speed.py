#!/usr/bin/env python3
"""What a forward pass and a training step of each network cost, in units that compare between machines.

A unit is one forward and backward pass of a fixed small network of the kind that this library runs: two 3x3
convolutions with group norm, a temporal self-attention and a linear layer, on 2 series of 24 dates, 10 bands and
32 x 32 pixels, float32. Network and unit are timed in turn in one process, so that a machine that is busy slows down
both; the table gives medians, and their ratio. Each line is measured in a process of its own, so its peak of memory is
that of its network; a forward pass takes less than a training step.

    python benchmarks/model_speed.py --models utae --repeats 5 --threads 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.live import Live
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmsits.models import (
    STCLN,
    UTAE,
    ConvHead,
    ConvRecurrentBackbone,
    FPNConvLSTM,
    MLPHead,
    PixelSetBackbone,
    PixelwiseBackbone,
    SLGT2Net,
    STCLNHead,
    TSViT,
    TSViTHead,
    UConvLSTM,
    UNet3D,
    UTAEHead,
)
from mmsits.structures import ImageSeries

CLASSES = 20
Builder = Callable[[int], nn.Module]


class CalibrationNetwork(nn.Module):
    """The network whose forward and backward pass is the unit."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in in (10, 64):
            layers += [nn.Conv2d(c_in, 64, 3, padding=1, padding_mode='reflect'), nn.GroupNorm(4, 64), nn.ReLU()]
        self.per_date = nn.Sequential(*layers)
        self.qkv = nn.Linear(64, 192)
        self.classifier = nn.Linear(64, CLASSES)

    def forward(self, series: Tensor) -> Tensor:
        """(N, T, 10, H, W) -> (N * H * W, 20)."""
        n, t = series.shape[:2]
        maps = self.per_date(series.flatten(0, 1))  # N * T, 64, H, W
        rows = maps.reshape(n, t, 64, -1).permute(0, 3, 1, 2).flatten(0, 1)  # N * H * W, T, 64
        query, key, value = self.qkv(rows).unflatten(-1, (3, 4, 16)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)  # N * H * W, 4, T, 16
        return self.classifier(attended.mean(2).flatten(1))


class SegmentationNetwork(nn.Module):
    """Backbone and head, as `TemporalEncoderDecoder` calls them."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, inputs: dict[str, ImageSeries]) -> Tensor:
        """Series -> class scores (N, K, H, W)."""
        return self.head(self.backbone(inputs))


class Case(NamedTuple):
    """One line of the table.

    Attributes:
        model: key of `BUILDERS`.
        shape: N, T, C, H, W that it gets.
        dates: existing dates of each series; None for all.
    """

    model: str
    shape: tuple[int, int, int, int, int]
    dates: tuple[int, ...] | None = None


def build_utae(bands: int) -> nn.Module:
    return SegmentationNetwork(UTAE(bands), UTAEHead(num_classes=CLASSES))


def build_with_conv_head(backbone: Callable[..., nn.Module], kernel_size: int = 1, **options: Any) -> Builder:
    def build(bands: int) -> nn.Module:
        network = backbone(bands, sensor='s2', **options)
        return SegmentationNetwork(
            network, ConvHead(network.out_channels[0], num_classes=CLASSES, kernel_size=kernel_size)
        )

    return build


def build_pixel_set(encoder: dict) -> Builder:
    return lambda bands: SegmentationNetwork(PixelSetBackbone(bands, encoder), MLPHead(num_classes=CLASSES))


def build_single_pixels(**encoder: Any) -> Builder:
    """Networks of single pixels of SITS-MoCo."""

    def build(bands: int) -> nn.Module:
        backbone = PixelwiseBackbone(bands, encoder)
        return SegmentationNetwork(backbone, MLPHead(128, hidden_channels=(64, 32), hidden_bias=True, num_classes=21))

    return build


# A new network: one entry here, and its sizes below.
BUILDERS: dict[str, Builder] = {
    'utae': build_utae,
    'pse_ltae': build_pixel_set(dict(type='mmseg.TimeMatchLTAE')),
    'pse_tae': build_pixel_set(dict(type='mmseg.TAE')),
    'pse_gru': build_pixel_set(dict(type='mmseg.SeriesGRU')),
    'pse_tempcnn': build_pixel_set(dict(type='mmseg.TempCNN', length=30)),
    'stnet': build_single_pixels(type='mmseg.STNet', weighting=dict(mean=[1500.0] * 10, std=[2000.0] * 10)),
    'sitsmoco_transformer': build_single_pixels(type='mmseg.PostNormTransformer'),
    # As released for the two sites: twelve dates of Slovenia, 41 of Brandenburg.
    'slgt2net': build_with_conv_head(SLGT2Net, fit_dates='reflect'),
    'slgt2net_48': build_with_conv_head(
        SLGT2Net,
        fit_dates='reflect',
        length=48,
        trimmed_steps=8,
        window_lengths=((8, 4, 2), (8, 4, 2), (4, 4, 2), (2, 2, 2)),
    ),
    'unet3d': build_with_conv_head(UNet3D, 3),
    'uconvlstm': lambda bands: SegmentationNetwork(
        UConvLSTM(bands), UTAEHead(num_classes=CLASSES, padding_mode='zeros')
    ),
    'convgru': build_with_conv_head(ConvRecurrentBackbone, 3),
    'fpn_convlstm': build_with_conv_head(FPNConvLSTM),
    'tsvit': lambda bands: SegmentationNetwork(TSViT(bands, CLASSES), TSViTHead(num_classes=CLASSES)),
    'stcln': lambda bands: SegmentationNetwork(STCLN(bands), STCLNHead(num_classes=CLASSES)),
}
RIVALS = ('unet3d', 'uconvlstm', 'convgru', 'fpn_convlstm')
CASES = [
    Case('utae', (1, 43, 10, 128, 128)),
    Case('utae', (4, 32, 10, 64, 64)),
    Case('utae', (2, 61, 10, 128, 128), (61, 43)),
    # The batch of SL-GT2Net's paper, also for the networks that it stands beside.
    *(Case(name, (2, 12, 2, 224, 224)) for name in ('utae', 'slgt2net', *RIVALS)),
    *(Case(name, (2, 41, 2, 224, 224)) for name in ('utae', 'slgt2net_48', *RIVALS)),
    # The batch of SITS-MoCo.
    *(Case(name, (512, 70, 10, 1, 1)) for name in ('stnet', 'sitsmoco_transformer')),
    # The batch of STCLN's fine-tuning.
    Case('stcln', (2, 32, 10, 32, 32)),
    # The windows of PASTIS24.
    Case('tsvit', (4, 60, 10, 24, 24)),
    # 128 parcels of 64 pixels.
    *(Case(f'pse_{encoder}', (128, 30, 10, 64, 1)) for encoder in ('ltae', 'tae', 'gru', 'tempcnn')),
]


def make_series(case: Case) -> dict[str, ImageSeries]:
    """Standard normal values and rising days; padded dates are zero and invalid."""
    n, t = case.shape[:2]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(case.shape, generator=generator)
    exists = torch.arange(t) < torch.tensor(case.dates or (t,) * n)[:, None]
    days = torch.linspace(0, 360, t).int().expand(n, t)
    return {
        's2': ImageSeries(values * exists[:, :, None, None, None], days * exists, exists[:, :, None, None]),
    }


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def unit_work() -> Callable[[], None]:
    """Forward and backward pass of the calibration network."""
    torch.manual_seed(0)
    network, series = CalibrationNetwork(), torch.randn(2, 24, 10, 32, 32)
    target = torch.randint(0, CLASSES, (2 * 32 * 32,))
    return lambda: F.cross_entropy(network(series), target).backward()


def case_work(case: Case) -> tuple[nn.Module, Callable[[], None], Callable[[], None]]:
    """The network, its forward pass without gradients in eval mode, and a training step without the optimiser."""
    torch.manual_seed(0)
    network, inputs = BUILDERS[case.model](case.shape[2]), make_series(case)
    with torch.no_grad():
        size = network.eval()(inputs).shape[2:]
    target = torch.randint(0, CLASSES, (case.shape[0], *size))

    @torch.no_grad()
    def forward() -> None:
        network.eval()(inputs)

    def train() -> None:
        network.train().zero_grad(set_to_none=True)
        F.cross_entropy(network(inputs), target).backward()

    return network, forward, train


def billion_operations(work: Callable[[], None]) -> float:
    """Floating-point operations of convolutions and products of matrices, two for each multiplication, in 10^9."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


def measure(case: Case, repeats: int, train: bool, warm_up: int = 1) -> list[str]:
    """One line of the table.

    Args:
        case: what is measured.
        repeats: rounds that count.
        train: measure a training step too.
        warm_up: rounds before them that do not.
    """
    network, forward, step = case_work(case)
    works = {'unit': unit_work(), 'forward': forward} | ({'train': step} if train else {})
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(warm_up + repeats):
        for name, work in works.items():
            # The unit is short: its median over three passes stands against each longer pass.
            spent = statistics.median(seconds(work) for _ in range(3 if name == 'unit' else 1))
            if round_ >= warm_up:
                times[name].append(spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    median = {name: statistics.median(values) for name, values in times.items()}
    shape = 'x'.join(map(str, case.shape))
    dates = '' if case.dates is None else f' ({", ".join(map(str, case.dates))} dates)'
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return [
        case.model,
        shape + dates,
        f'{parameters:,}',
        f'{billion_operations(forward):,.1f}',
        f'{median["unit"]:.3f}',
        f'{median["forward"] / median["unit"]:.3g}',
        *((f'{median["train"] / median["unit"]:.3g}', f'{median["train"]:.3g}') if train else ('-', '-')),
        f'{peak:.2f}',
    ]


def measure_apart(case: Case, threads: int, *arguments: Any) -> list[str]:
    """`measure` in a new process, whose peak of memory is that of this line alone."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (threads,)) as process:
        return process.submit(measure, case, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', nargs='+', default=sorted(BUILDERS), choices=sorted(BUILDERS))
    parser.add_argument('--rows', nargs='+', type=int, help='only these sizes of each model, counted from 0')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--warm-up', type=int, default=1, help='rounds before those that count (default: 1)')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--forward-only', action='store_true', help='leave out the training step')
    args = parser.parse_args()
    columns = ('model', 'N x T x C x H x W', 'parameters', 'forward, GFLOP', 'unit, s')
    table = Table(*columns, 'forward, units', 'training step, units', 'training step, s', 'peak memory, GiB')
    with Live(table, console=Console(width=150)):
        for model in args.models:
            cases = [case for case in CASES if case.model == model]
            for case in [cases[i] for i in args.rows] if args.rows else cases:
                table.add_row(*measure_apart(case, args.threads, args.repeats, not args.forward_only, args.warm_up))
    print(f'torch {torch.__version__}, {args.threads} threads, float32')


if __name__ == '__main__':
    main()
