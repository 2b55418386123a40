"""SL-GT2Net: what padding, size and validity may and may not change, and its options."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models import ConvHead, SLGT2Net
from mmsits.models.layers.local_global_blocks import ChannelScale, LocalGlobalBlock
from mmsits.structures import ImageSeries

SMALL = dict(
    in_channels=3,
    embed_dims=(6, 12),
    depths=(2, 3),
    num_heads=(3, 6),
    window_sizes=((2, 3, 4), (1, 2, 3)),
    window_lengths=((2, 1, 3), (1, 2, 1)),
    mlp_ratios=2,
    length=8,
)
EVERYTHING = dict(
    layer_scale=0.5,
    absolute_positions=True,
    relative_positions=True,
    channel_refinement=True,
    topk_div=2,
    table_size=(16, 16),
)
MODES = ('resample', 'reflect', 'zeros')


def build(**options) -> SLGT2Net:
    torch.manual_seed(0)
    return SLGT2Net(**{**SMALL, **options}).eval()


def make_series(n: int = 2, t: int = 5, height: int = 16, width: int = 16, seed: int = 0) -> ImageSeries:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, 3, height, width)).astype(np.float32))
    days = torch.arange(t, dtype=torch.int32).repeat(n, 1) * 30
    return ImageSeries(values, days, torch.ones(n, t, 1, 1, dtype=torch.bool))


def add_dates(series: ImageSeries, count: int, garbage: float = 0.0) -> ImageSeries:
    n, _, *shape = series.values.shape
    return ImageSeries(
        torch.cat([series.values, torch.full((n, count, *shape), garbage)], 1),
        torch.cat([series.days, torch.full((n, count), 7, dtype=torch.int32)], 1),
        torch.cat([series.valid, torch.zeros(n, count, *series.valid.shape[2:], dtype=torch.bool)], 1),
    )


def run(backbone: SLGT2Net, series: ImageSeries) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return backbone({'s1': series})


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], rtol: float = 1e-5) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert torch.isfinite(a).all()
        assert (a - b).abs().max() <= rtol * b.abs().max()


@pytest.mark.parametrize('fit_dates', MODES)
@pytest.mark.parametrize('garbage', [0.0, 1e6, float('nan')])
def test_invalid_dates_change_nothing(fit_dates: str, garbage: float) -> None:
    backbone, series = build(fit_dates=fit_dates), make_series()
    assert_same(run(backbone, add_dates(series, 6, garbage)), run(backbone, series))
    gap = torch.tensor([5, 0, 6, 1, 2, 7, 3, 4])  # dates keep their order, with others between them
    padded = add_dates(series, 3, garbage)
    assert_same(run(backbone, ImageSeries(*(part[:, gap] for part in padded))), run(backbone, series))


@pytest.mark.parametrize('fit_dates', MODES)
def test_batching_with_a_longer_series_changes_nothing(fit_dates: str) -> None:
    backbone = build(fit_dates=fit_dates)
    short, long = make_series(1, 3), make_series(1, 11, seed=1)
    batch = ImageSeries(*(torch.cat(parts) for parts in zip(add_dates(short, 8), long, strict=True)))
    together = run(backbone, batch)
    assert_same(tuple(m[:1] for m in together), run(backbone, short))
    assert_same(tuple(m[1:] for m in together), run(backbone, long))


def test_values_of_invalid_pixels_do_not_matter() -> None:
    backbone, series = build(), make_series()
    valid = torch.from_numpy(np.random.default_rng(2).random((2, 5, 16, 16)) < 0.7)
    garbage = series.values.masked_fill(~valid.unsqueeze(2), float('nan'))
    zeros = series.values.masked_fill(~valid.unsqueeze(2), 0.0)
    assert_same(
        run(backbone, ImageSeries(garbage, series.days, valid)), run(backbone, ImageSeries(zeros, series.days, valid))
    )


def test_days_do_not_matter() -> None:
    backbone, series = build(), make_series()
    assert_same(run(backbone, series._replace(days=series.days * 2 + 100)), run(backbone, series))


@pytest.mark.parametrize('fit_dates', MODES)
def test_series_without_any_valid_date_are_finite(fit_dates: str) -> None:
    backbone, series = build(fit_dates=fit_dates), make_series()
    series.valid[1] = False
    mixed = run(backbone, series)
    assert_same(tuple(m[:1] for m in mixed), run(backbone, ImageSeries(*(part[:1] for part in series))))
    series.valid[:] = False
    assert all(torch.isfinite(m).all() for m in run(backbone, series))


@pytest.mark.parametrize('options', [{}, EVERYTHING], ids=['released', 'everything'])
@pytest.mark.parametrize(('height', 'width'), [(17, 23), (5, 5), (2, 9), (16, 16)])
def test_takes_any_size(height: int, width: int, options: dict) -> None:
    maps = run(build(**options), make_series(height=height, width=width))
    assert [m.shape[1] for m in maps] == list(build().out_channels) == [6, 6, 12]
    assert [tuple(m.shape[-2:]) for m in maps] == [(-(-height // s), -(-width // s)) for s in (1, 4, 8)]
    assert all(torch.isfinite(m).all() for m in maps)


def test_an_image_is_padded_as_if_with_pixels_that_were_not_observed() -> None:
    backbone, series = build(), make_series(height=11, width=13)
    large = torch.zeros(2, 5, 3, 16, 16)
    large[..., :11, :13] = series.values
    padded = run(backbone, ImageSeries(large, series.days, series.valid))[0]
    assert_same(run(backbone, series)[:1], (padded[..., :11, :13],))


@pytest.mark.parametrize('length', [1, 2, 5, 7, 12])
@pytest.mark.parametrize('dates', [1, 4, 13])
def test_takes_any_length(length: int, dates: int) -> None:
    maps = run(build(length=length), make_series(t=dates))
    assert all(torch.isfinite(m).all() for m in maps)


def test_the_stem_can_take_steps_off() -> None:
    backbone = build(length=24, trimmed_steps=8)
    assert backbone.merges[0].reduction.weight.shape[2] == 9
    levels = backbone.encode(torch.randn(1, 3, 24, 16, 16))
    assert [tuple(level.shape[1:4]) for level in levels] == [(4, 4, 4), (2, 2, 2)]
    assert all(torch.isfinite(m).all() for m in run(backbone, make_series()))


@pytest.mark.parametrize('options', [{}, EVERYTHING], ids=['released', 'everything'])
def test_every_parameter_gets_a_gradient(options: dict) -> None:
    backbone, head = build(**options).train(), ConvHead(6, num_classes=4)
    head(backbone({'s1': make_series(height=32, width=32)})).square().sum().backward()
    for module in (backbone, head):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_recomputing_activations_changes_nothing() -> None:
    gradients = []
    for with_cp in (False, True):
        backbone = build(with_cp=with_cp, drop_path_rate=0.0).train()
        backbone({'s1': make_series()})[0].square().mean().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters() if parameter.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_drop_path_rises_and_the_decoder_repeats_it() -> None:
    backbone = build(drop_path_rate=0.4)

    def rates(stages: nn.ModuleList) -> list[float]:
        blocks = [module for module in stages.modules() if isinstance(module, LocalGlobalBlock)]
        return [block.drop_path.drop_prob for block in blocks]

    assert rates(backbone.stages) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert rates(backbone.up_stages) == pytest.approx([0.0, 0.1])


def test_tables_of_positions_fit_their_size_and_stretch_to_others() -> None:
    backbone = build(absolute_positions=True, table_size=(16, 16))
    assert [tuple(table.shape) for table in backbone.positions] == [(1, 4 * 4 * 4, 6), (1, 2 * 2 * 2, 12)]
    assert [tuple(table.shape) for table in backbone.up_positions] == [(1, 4 * 4 * 4, 6)]
    constant = build(absolute_positions=True, table_size=(16, 16))
    with torch.no_grad():
        for table in (*constant.positions, *constant.up_positions):
            table.fill_(0.5)
    series = make_series(height=32, width=40)
    stretched = run(constant, series)
    larger = build(absolute_positions=True, table_size=(32, 40))
    with torch.no_grad():
        for table in (*larger.positions, *larger.up_positions):
            table.fill_(0.5)
    larger.load_state_dict({k: v for k, v in constant.state_dict().items() if 'positions' not in k}, strict=False)
    assert_same(stretched, run(larger, series))


def test_published_initialisation() -> None:
    backbone = build(embed_dims=(48, 96), layer_scale=0.1, absolute_positions=True, table_size=(16, 16))
    up = backbone.upsamplings[0][0].weight.clone()
    backbone.init_weights()
    linear = backbone.stages[1].blocks[0].attn.qkv
    assert linear.weight.detach().std() == pytest.approx(0.02, rel=0.1)
    conv = backbone.fusions[0]
    assert conv.weight.detach().std() == pytest.approx((2 / (27 * 48)) ** 0.5, rel=0.1)
    depthwise = backbone.stages[0].position
    assert depthwise.weight.detach().std() == pytest.approx((2 / 27) ** 0.5, rel=0.1)
    scale = backbone.upsamplings[0][2]
    assert isinstance(scale, ChannelScale)
    assert scale.weight.detach().std() == pytest.approx(2**0.5, rel=0.4)
    assert not any(layer.bias.any() for layer in (conv, depthwise, scale, backbone.stages[0].blocks[0].mlp[0]))
    assert torch.equal(backbone.upsamplings[0][0].weight, up)  # left as torch makes it
    assert (backbone.stages[0].blocks[0].gamma1 == 0.1).all()
    assert backbone.positions[0].detach().std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(embed_dims=(6,)), 'two levels'),
        (dict(depths=(2,)), 'depths'),
        (dict(num_heads=(2, 4)), '2 heads'),
        (dict(window_lengths=((2, 1), (1, 1, 1))), 'equally many'),
        (dict(trimmed_steps=4), 'trimmed_steps'),
        (dict(trimmed_steps=-1), 'trimmed_steps'),
        (dict(fit_dates='wrap'), 'resample'),
    ],
)
def test_refuses_options_that_cannot_work(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SLGT2Net(**{**SMALL, **options})


def test_names_what_is_wrong_with_the_input() -> None:
    with pytest.raises(KeyError, match='s2'):
        build()({'s2': make_series()})
    with pytest.raises(ValueError, match='bands'):
        build(in_channels=4)({'s1': make_series()})
    with pytest.raises(ValueError, match='at least 2 x 2'):
        build()({'s1': make_series(height=1, width=8)})


def test_the_base_config_is_the_released_network() -> None:
    model = Config.fromfile('configs/_base_/models/slgt2net.py').model
    with torch.device('meta'):
        parts = [MODELS.build(model.backbone), MODELS.build(model.decode_head)]
    # 69 090 740, less tables of positions and channel refinement, which are made there and not used.
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) == 69_090_740 - 6_583_308


def test_half_precision_is_close() -> None:
    backbone, series = build(topk_div=2), make_series()
    plain = run(backbone, series)
    with torch.autocast('cpu', torch.bfloat16):
        assert_same(run(backbone, series), plain, rtol=0.1)


def test_trains_and_predicts_in_a_segmentor() -> None:
    model = MODELS.build(
        dict(
            type='TemporalEncoderDecoder',
            data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s1=3)),
            backbone=dict(type='SLGT2Net', **SMALL),
            decode_head=dict(type='ConvHead', in_channels=6, num_classes=4),
            auxiliary_head=dict(
                type='FCNHead', in_channels=6, channels=4, num_convs=1, in_index=1, num_classes=4, norm_cfg=None
            ),
            test_cfg=dict(mode='slide', crop_size=(16, 16), stride=(12, 12)),
        )
    )
    series = {'s1': make_series(height=20, width=22)}
    losses = model(series, torch.randint(0, 4, (2, 1, 20, 22)), mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert torch.isfinite(losses['decode.loss_ce'])
    assert model.eval()(series, mode='predict')[0]['prediction'].shape == (2, 20, 22)
