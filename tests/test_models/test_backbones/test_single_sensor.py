"""What holds for every backbone of one sensor that was published with U-TAE: what padding, size and validity may and
may not change."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries

MODELS_FOLDER = Path(__file__).parents[3] / 'configs' / '_base_' / 'models'
U_NET = dict(type='UConvLSTM', encoder_widths=(8, 8, 16), decoder_widths=(8, 8, 16), hidden_channels=5)
BACKBONES = {
    'unet3d': dict(type='UNet3D', feats=2),
    'uconvlstm': dict(**U_NET, temporal='lstm'),
    'bi-uconvlstm': dict(**U_NET, temporal='blstm'),
    'mean-unet': dict(**U_NET, temporal='mean'),
    'convgru': dict(type='ConvRecurrentBackbone', cell='gru', hidden_channels=6),
    'bi-convlstm': dict(type='ConvRecurrentBackbone', cell='lstm', hidden_channels=4, bidirectional=True),
    'fpn': dict(type='FPNConvLSTM', inconv_widths=(8, 8), num_channels=4, hidden_channels=6),
    'plain-fpn': dict(type='FPNConvLSTM', inconv_widths=(8,), num_channels=4, hidden_channels=6, mid_conv=False),
}
# Those whose published behaviour depends on padding.
OVER_PADDING = [name for name in BACKBONES if name != 'mean-unet']

every_backbone = pytest.mark.parametrize('name', BACKBONES)


def build(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    backbone = MODELS.build(dict(in_channels=3, **BACKBONES[name], **options))
    generator = torch.Generator().manual_seed(1)
    for key, buffer in backbone.named_buffers():
        if key.endswith('running_mean'):
            buffer.normal_(0, 0.1, generator=generator)
        elif key.endswith('running_var'):
            buffer.uniform_(0.8, 1.2, generator=generator)
    return backbone.eval()


def make_series(n: int = 2, t: int = 6, height: int = 16, width: int = 16, seed: int = 0) -> ImageSeries:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, 3, height, width)).astype(np.float32))
    return ImageSeries(values, torch.arange(t, dtype=torch.int32).repeat(n, 1), torch.ones(n, t, 1, 1).bool())


def add_dates(series: ImageSeries, count: int, garbage: float = 0.0) -> ImageSeries:
    n, _, *shape = series.values.shape
    return ImageSeries(
        torch.cat([series.values, torch.full((n, count, *shape), garbage)], 1),
        torch.cat([series.days, torch.full((n, count), 7, dtype=torch.int32)], 1),
        torch.cat([series.valid, torch.zeros(n, count, *series.valid.shape[2:], dtype=torch.bool)], 1),
    )


def run(backbone: nn.Module, series: ImageSeries) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return backbone({'s2': series})


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], rtol: float = 1e-5) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert torch.isfinite(a).all()
        assert (a - b).abs().max() <= rtol * b.abs().max()


@every_backbone
@pytest.mark.parametrize('garbage', [0.0, 1e6, float('nan')])
def test_invalid_dates_change_nothing(name: str, garbage: float) -> None:
    backbone, series = build(name), make_series()
    padded = add_dates(series, 3, garbage)
    assert_same(run(backbone, padded), run(backbone, series))
    gaps = torch.tensor([6, 0, 1, 7, 2, 3, 8, 4, 5])  # dates keep their order, with others between them
    assert_same(run(backbone, ImageSeries(*(part[:, gaps] for part in padded))), run(backbone, series))


@every_backbone
@pytest.mark.parametrize('lengths', [(3, 9), (1, 6), (5, 6), (6, 10), (2, 3)])
def test_batching_with_a_longer_series_changes_nothing(name: str, lengths: tuple[int, int]) -> None:
    backbone = build(name)
    short, long = make_series(1, lengths[0]), make_series(1, lengths[1], seed=1)
    padded = add_dates(short, lengths[1] - lengths[0])
    together = run(backbone, ImageSeries(*(torch.cat(parts) for parts in zip(padded, long, strict=True))))
    assert_same(tuple(m[:1] for m in together), run(backbone, short))
    assert_same(tuple(m[1:] for m in together), run(backbone, long))


@pytest.mark.parametrize('name', OVER_PADDING)
def test_published_behaviour_depends_on_padding_and_on_nothing_else(name: str) -> None:
    published, ours, series = build(name, runs_over_padding=True), build(name), make_series(t=8)
    assert_same(run(published, series), run(ours, series))
    padded, plain = run(published, add_dates(series, 4))[0], run(published, series)[0]
    assert (padded - plain).abs().max() > 1e-3 * plain.abs().max()


@every_backbone
def test_values_of_invalid_pixels_do_not_matter(name: str) -> None:
    backbone, series = build(name), make_series()
    valid = torch.from_numpy(np.random.default_rng(2).random((2, 6, 16, 16)) < 0.7)
    garbage = series.values.masked_fill(~valid.unsqueeze(2), float('nan'))
    zeros = series.values.masked_fill(~valid.unsqueeze(2), 0.0)
    assert_same(
        run(backbone, ImageSeries(garbage, series.days, valid)), run(backbone, ImageSeries(zeros, series.days, valid))
    )


@every_backbone
@pytest.mark.parametrize('published', [False, True])
def test_series_without_any_valid_date_are_finite(name: str, published: bool) -> None:
    backbone = build(name, runs_over_padding=published)
    series = make_series()
    series.valid[1] = False
    mixed = run(backbone, series)
    assert all(torch.isfinite(m).all() for m in mixed)
    assert_same(tuple(m[:1] for m in mixed), run(backbone, ImageSeries(*(part[:1] for part in series))))
    series.valid[:] = False
    assert all(torch.isfinite(m).all() for m in run(backbone, series))


@every_backbone
@pytest.mark.parametrize(('height', 'width'), [(17, 23), (5, 5), (2, 9), (16, 16)])
def test_takes_any_size(name: str, height: int, width: int) -> None:
    backbone = build(name)
    maps = run(backbone, make_series(height=height, width=width))
    assert tuple(m.shape[1] for m in maps) == backbone.out_channels
    assert [tuple(m.shape[-2:]) for m in maps] == [(-(-height // s), -(-width // s)) for s in (1, 2, 4)[: len(maps)]]
    assert all(torch.isfinite(m).all() for m in maps)


@every_backbone
def test_every_parameter_gets_a_gradient(name: str) -> None:
    backbone = build(name).train()
    backbone({'s2': add_dates(make_series(), 2)})[0].square().sum().backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@every_backbone
def test_training_statistics_ignore_padding(name: str) -> None:
    states = []
    for series in (make_series(), add_dates(make_series(), 3)):
        backbone = build(name).train()
        backbone({'s2': series})
        states.append(backbone.state_dict())
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=1e-4, atol=1e-5, msg=key)


@every_backbone
def test_names_what_is_wrong_with_the_input(name: str) -> None:
    backbone = build(name)
    with pytest.raises(KeyError, match='s1'):
        backbone({'s1': make_series()})
    with pytest.raises(ValueError, match='bands'):
        backbone({'s2': make_series()._replace(values=torch.zeros(2, 6, 4, 16, 16))})
    if backbone.min_size > 1:
        with pytest.raises(ValueError, match='at least 2 x 2'):
            backbone({'s2': make_series(height=1)})


@pytest.mark.parametrize(
    ('name', 'options', 'sentence'),
    [
        ('uconvlstm', dict(decoder_widths=(8, 16)), 'equally long'),
        ('uconvlstm', dict(decoder_widths=(8, 8, 8)), 'same last width'),
        ('uconvlstm', dict(temporal='gru'), 'blstm'),
        ('convgru', dict(cell='rnn'), 'lstm'),
        ('fpn', dict(num_levels=1), 'two scales'),
    ],
)
def test_refuses_options_that_cannot_work(name: str, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MODELS.build(dict(in_channels=3, **{**BACKBONES[name], **options}))


def test_the_published_3d_u_net_needs_four_dates() -> None:
    with pytest.raises(ValueError, match='four dates'):
        run(build('unet3d', runs_over_padding=True), make_series(t=3))


@pytest.mark.parametrize(
    ('config', 'parameters'),
    [('unet3d', 1_553_796), ('uconvlstm', 1_520_540), ('convgru', 956_360), ('fpn_convlstm', 1_151_028)],
)
def test_the_base_configs_have_the_published_number_of_parameters(config: str, parameters: int) -> None:
    model = Config.fromfile(MODELS_FOLDER / f'{config}.py').model
    parts = [MODELS.build(model.backbone), MODELS.build(model.decode_head)]
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) == parameters
