"""U-TAE: what padding, order of dates, size and validity may and may not change."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models import UTAE, UTAEHead
from mmsits.structures import ImageSeries

init_default_scope('mmseg')

SMALL = dict(in_channels=3, encoder_widths=(8, 8, 16), decoder_widths=(8, 8, 16), n_head=4, d_model=16, d_k=2)


def build(**options) -> UTAE:
    torch.manual_seed(0)
    backbone = UTAE(**{**SMALL, **options})
    generator = torch.Generator().manual_seed(1)
    for name, buffer in backbone.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith('running_var'):
            buffer.uniform_(0.8, 1.2, generator=generator)
    return backbone.eval()


def make_series(n: int = 2, t: int = 5, height: int = 16, width: int = 16, seed: int = 0) -> ImageSeries:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, 3, height, width)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(-30, 360, (n, t)), axis=1).astype(np.int32))
    return ImageSeries(values, days, torch.ones(n, t, 1, 1, dtype=torch.bool))


def add_dates(series: ImageSeries, count: int, garbage: float = 0.0) -> ImageSeries:
    n, _, *rest = series.values.shape
    return ImageSeries(
        torch.cat([series.values, torch.full((n, count, *rest), garbage)], 1),
        torch.cat([series.days, torch.full((n, count), int(garbage) if garbage == garbage else 7).int()], 1),
        torch.cat([series.valid, torch.zeros(n, count, *series.valid.shape[2:], dtype=torch.bool)], 1),
    )


def run(backbone: UTAE, series: ImageSeries) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return backbone({'s2': series})


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], rtol: float = 1e-5) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert torch.isfinite(a).all()
        assert (a - b).abs().max() <= rtol * b.abs().max()


def test_has_the_published_number_of_parameters() -> None:
    modules = [UTAE(10), UTAEHead(num_classes=20)]
    assert sum(parameter.numel() for module in modules for parameter in module.parameters()) == 1_087_260


@pytest.mark.parametrize('agg_mode', ['att_group', 'att_mean', 'mean'])
@pytest.mark.parametrize('garbage', [0.0, 1e6, float('nan')])
def test_invalid_dates_change_nothing(agg_mode: str, garbage: float) -> None:
    backbone, series = build(agg_mode=agg_mode), make_series()
    assert_same(run(backbone, add_dates(series, 6, garbage)), run(backbone, series))


@pytest.mark.parametrize('agg_mode', ['att_group', 'att_mean', 'mean'])
def test_batching_with_a_longer_series_changes_nothing(agg_mode: str) -> None:
    backbone = build(agg_mode=agg_mode)
    short, long = make_series(1, 3), make_series(1, 9, seed=1)
    batch = ImageSeries(*(torch.cat(parts) for parts in zip(add_dates(short, 6), long, strict=True)))
    together = run(backbone, batch)
    assert_same(tuple(m[:1] for m in together), run(backbone, short))
    assert_same(tuple(m[1:] for m in together), run(backbone, long))


def test_published_behaviour_depends_on_padding() -> None:
    backbone, series = build(norm_over_padding=True), make_series()
    padded, plain = run(backbone, add_dates(series, 6))[0], run(backbone, series)[0]
    assert (padded - plain).abs().max() > 1e-3 * plain.abs().max()
    assert_same(run(build(norm_over_padding=True), series), run(build(), series))


@pytest.mark.parametrize('agg_mode', ['att_group', 'att_mean', 'mean'])
def test_order_of_dates_does_not_matter(agg_mode: str) -> None:
    backbone, series = build(agg_mode=agg_mode), make_series()
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = ImageSeries(*(part[:, order] for part in series))
    assert_same(run(backbone, shuffled), run(backbone, series))
    with torch.no_grad():
        attention = backbone.forward_with_attention({'s2': series})[1]
        assert_same((backbone.forward_with_attention({'s2': shuffled})[1],), (attention[:, :, order],))


def test_values_of_invalid_pixels_do_not_matter() -> None:
    backbone, series = build(), make_series()
    rng = np.random.default_rng(2)
    valid = torch.from_numpy(rng.random((2, 5, 16, 16)) < 0.7)
    garbage = torch.where(valid.unsqueeze(2), series.values, torch.tensor(float('nan')))
    zeros = torch.where(valid.unsqueeze(2), series.values, torch.tensor(0.0))
    assert_same(
        run(backbone, ImageSeries(garbage, series.days, valid)), run(backbone, ImageSeries(zeros, series.days, valid))
    )


@pytest.mark.parametrize('agg_mode', ['att_group', 'att_mean', 'mean'])
@pytest.mark.parametrize('norm_over_padding', [False, True])
def test_a_series_without_any_valid_date_is_finite(agg_mode: str, norm_over_padding: bool) -> None:
    backbone, series = build(agg_mode=agg_mode, norm_over_padding=norm_over_padding), make_series()
    series.valid[1] = False
    with torch.no_grad():
        maps, attention = backbone.forward_with_attention({'s2': series})
    assert all(torch.isfinite(m).all() for m in maps)
    assert not attention[1].any()
    torch.testing.assert_close(attention[0].sum(1), torch.ones_like(attention[0].sum(1)))


def test_a_batch_without_any_valid_date_is_finite() -> None:
    series = make_series()
    series.valid[:] = False
    assert all(torch.isfinite(m).all() for m in run(build(), series))


@pytest.mark.parametrize(('height', 'width'), [(17, 23), (5, 5), (2, 9), (16, 16)])
def test_takes_any_size(height: int, width: int) -> None:
    maps = run(build(), make_series(height=height, width=width))
    assert [m.shape[1] for m in maps] == list(build().out_channels)
    assert [tuple(m.shape[-2:]) for m in maps] == [(-(-height // s), -(-width // s)) for s in (1, 2, 4)]
    assert all(torch.isfinite(m).all() for m in maps)


@pytest.mark.parametrize('agg_mode', ['att_group', 'att_mean', 'mean'])
def test_every_parameter_gets_a_gradient(agg_mode: str) -> None:
    backbone, head = build(agg_mode=agg_mode).train(), UTAEHead(8, 8, num_classes=4)
    head(backbone({'s2': add_dates(make_series(), 2)})).square().sum().backward()
    for module in (backbone, head):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            # A softmax does not see what is added to all scores, so the key's bias cannot be learnt.
            assert parameter.grad.any() or name.endswith('attention.key.bias'), name


@pytest.mark.parametrize('norm', ['group', 'batch', 'instance', None])
def test_every_encoder_norm_is_blind_to_padding(norm: str | None) -> None:
    backbone, series = build(encoder_norm=norm), make_series()
    assert_same(run(backbone, add_dates(series, 3)), run(backbone, series))


def test_training_a_batch_normed_encoder_ignores_padding() -> None:
    padded, plain = build(encoder_norm='batch').train(), build(encoder_norm='batch').train()
    padded({'s2': add_dates(make_series(), 3)})
    plain({'s2': make_series()})
    norms = [
        (a[1], b[1])
        for a, b in ((padded.in_conv, plain.in_conv), (padded.down_blocks[0].down, plain.down_blocks[0].down))
    ]
    for ours, theirs in norms:
        assert isinstance(ours, nn.BatchNorm2d)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        assert ours.num_batches_tracked == 1


@pytest.mark.parametrize(
    'head',
    [
        dict(type='FCNHead', in_channels=8, channels=8, num_convs=1, in_index=0),
        dict(type='SegformerHead', in_channels=[8, 8, 16], channels=8, in_index=[0, 1, 2]),
        dict(type='UPerHead', in_channels=[8, 8, 16], channels=8, in_index=[0, 1, 2]),
    ],
    ids=lambda head: head['type'],
)
def test_heads_of_mmseg_take_the_maps(head: dict) -> None:
    norm_cfg = dict(type='GN', num_groups=2)
    decode_head = MODELS.build(dict(**head, num_classes=4, norm_cfg=norm_cfg)).eval()
    assert decode_head(run(build(), make_series())).shape == (2, 4, 16, 16)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(decoder_widths=(8, 16)), 'equally long'),
        (dict(decoder_widths=(8, 8, 8)), 'same last width'),
        (dict(n_head=3), '3 heads'),
        (dict(encoder_widths=(8, 12, 16), n_head=8), '8 heads divide'),
        (dict(str_conv_k=3), 'str_conv_s'),
        (dict(agg_mode='max'), 'att_group'),
        (dict(encoder_norm='layer'), 'layer'),
        (dict(encoder_widths=(6, 8, 16), agg_mode='mean'), 'groups'),
    ],
)
def test_refuses_options_that_cannot_work(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        UTAE(**{**SMALL, 'agg_mode': 'att_group', **options})


def test_names_what_is_wrong_with_the_input() -> None:
    with pytest.raises(KeyError, match='s1a'):
        build()({'s1a': make_series()})
    with pytest.raises(ValueError, match='bands'):
        build(in_channels=4)({'s2': make_series()})
    with pytest.raises(ValueError, match='at least 2 x 2'):
        build()({'s2': make_series(height=1, width=8)})


def test_channels_last_changes_rounding_only() -> None:
    series = make_series()
    assert_same(run(build(channels_last=True), series), run(build(), series))


def test_published_initialisation_survives_mmengine() -> None:
    torch.manual_seed(0)
    backbone = UTAE(**SMALL, init_cfg=dict(type='XavierNormalInit'))
    query = backbone.temporal_encoder.attention.query.clone()
    backbone.init_weights()
    assert torch.equal(backbone.temporal_encoder.attention.query, query)
    projection = backbone.temporal_encoder.in_proj.weight
    assert 0.8 < projection.std() < 1.2  # N(0, 1)
    key = backbone.temporal_encoder.attention.key.weight
    assert abs(key.std() / (2 / sum(key.shape)) ** 0.5 - 1) < 0.3  # Xavier
    assert not backbone.up_blocks[0].up[1].bias.any()
    assert backbone.up_blocks[0].up[1].weight.std() > 0.4
    assert (backbone.in_conv[1].weight == 1).all()  # group norm is left alone
