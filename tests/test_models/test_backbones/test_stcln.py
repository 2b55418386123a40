"""STCLN: what padding, size, validity and further sensors may and may not change."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmsits.models import STCLN, ConvHead, STCLNHead
from mmsits.structures import ImageSeries

init_default_scope('mmseg')

SMALL = dict(in_channels=3, widths=(4, 16), num_heads=2, norm_groups=2, day_repeats=2, num_layers=2)


def build(**options) -> STCLN:
    torch.manual_seed(0)
    backbone = STCLN(**{**SMALL, **options})
    generator = torch.Generator().manual_seed(1)
    for name, buffer in backbone.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith('running_var'):
            buffer.uniform_(0.8, 1.2, generator=generator)
    return backbone.eval()


def build_head(**options) -> STCLNHead:
    torch.manual_seed(0)
    head = STCLNHead(16, num_classes=5, **options).eval()
    torch.nn.init.constant_(head.gate, 0.8)
    return head


def make_series(n: int = 2, t: int = 5, height: int = 5, width: int = 4, bands: int = 3, seed: int = 0) -> ImageSeries:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, bands, height, width)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(-30, 360, (n, t)), axis=1).astype(np.int32))
    return ImageSeries(values, days, torch.ones(n, t, 1, 1, dtype=torch.bool))


def add_dates(series: ImageSeries, count: int, garbage: float = 0.0) -> ImageSeries:
    n, _, *rest = series.values.shape
    return ImageSeries(
        torch.cat([series.values, torch.full((n, count, *rest), garbage)], 1),
        torch.cat([series.days, torch.full((n, count), 7).int()], 1),
        torch.cat([series.valid, torch.zeros(n, count, *series.valid.shape[2:], dtype=torch.bool)], 1),
    )


@torch.no_grad()
def logits(series: ImageSeries, positions: str = 'days', **options) -> torch.Tensor:
    return build_head()(build(positions=positions, **options)({'s2': series}))


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert torch.isfinite(ours).all()
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize('positions', ['days', 'order'])
@pytest.mark.parametrize('garbage', [0.0, 1e6, float('nan')])
def test_invalid_dates_change_nothing(positions: str, garbage: float) -> None:
    series = make_series()
    assert_same(logits(add_dates(series, 4, garbage), positions), logits(series, positions))


def test_batching_with_a_longer_series_changes_nothing() -> None:
    short, long = make_series(1, 3), make_series(1, 8, seed=1)
    batch = ImageSeries(*(torch.cat(parts) for parts in zip(add_dates(short, 5), long, strict=True)))
    together = logits(batch)
    assert_same(together[:1], logits(short))
    assert_same(together[1:], logits(long))


def test_published_behaviour_depends_on_padding() -> None:
    series = make_series()
    published = dict(positions='order', runs_over_padding=True)
    assert_same(logits(series, **published), logits(series, 'order'))
    padded, plain = logits(add_dates(series, 4), **published), logits(series, **published)
    assert (padded - plain).abs().max() > 1e-3 * plain.abs().max()


def test_published_behaviour_takes_padding_for_zeros() -> None:
    series = make_series()
    published = dict(positions='order', runs_over_padding=True)
    assert_same(logits(add_dates(series, 2, 1e6), **published), logits(add_dates(series, 2), **published))


def test_days_say_what_order_does_not() -> None:
    series = make_series()
    later = series._replace(days=series.days * 2)
    assert_same(logits(later, 'order'), logits(series, 'order'))
    assert (logits(later) - logits(series)).abs().max() > 1e-4


def test_order_of_dates_does_not_matter() -> None:
    series, order = make_series(), torch.tensor([3, 0, 4, 1, 2])
    assert_same(logits(ImageSeries(*(part[:, order] for part in series))), logits(series))


def test_values_of_invalid_pixels_do_not_matter() -> None:
    series = make_series()
    valid = torch.from_numpy(np.random.default_rng(2).random((2, 5, 5, 4)) < 0.6)
    results = [
        logits(ImageSeries(torch.where(valid.unsqueeze(2), series.values, torch.tensor(fill)), series.days, valid))
        for fill in (float('nan'), 0.0)
    ]
    assert_same(*results)


@pytest.mark.parametrize('runs_over_padding', [False, True])
def test_a_series_with_one_valid_date_or_none_is_finite(runs_over_padding: bool) -> None:
    series = make_series()
    series.valid[0, 1:] = False
    series.valid[1] = False
    backbone = build(runs_over_padding=runs_over_padding).train()
    features = backbone({'s2': series})
    scores = build_head()(features)
    scores.square().sum().backward()
    assert torch.isfinite(scores).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())
    if not runs_over_padding:
        assert not features.pooled[1].any()
        assert not features.dated[0, :, :, 1:].any()


def test_takes_single_pixels_and_has_maps_for_any_head() -> None:
    features = build()({'s2': make_series(3, 4, 1, 1)})
    assert ConvHead(16, num_classes=2)(features).shape == (3, 2, 1, 1)
    assert features.dated.shape == features.spatial.shape == (3, 1, 1, 4, 16)


def test_reads_several_sensors_as_one_series() -> None:
    backbone = build(further_sensors=dict(s1=2))
    inputs = {'s2': make_series(t=5), 's1': make_series(t=3, bands=2, seed=3)}
    with torch.no_grad():
        features = backbone(inputs)
        absent = inputs | {'s1': inputs['s1']._replace(valid=torch.zeros(2, 3, 1, 1, dtype=torch.bool))}
        single = build()
        single.load_state_dict(backbone.state_dict(), strict=False)
        assert_same(backbone(absent).pooled, single(inputs).pooled)
        assert (features.pooled - single(inputs).pooled).abs().max() > 1e-3
    assert features.dated.shape[3] == 8
    dated = backbone.dated_features(inputs)
    assert {sensor: part.shape[3] for sensor, part in dated.items()} == {'s2': 5, 's1': 3}
    with pytest.raises(ValueError, match='one pixel grid'):
        backbone(inputs | {'s1': make_series(t=3, bands=2, height=2)})


def test_a_batch_without_one_of_the_sensors_trains() -> None:
    backbone = build(further_sensors=dict(s1=2)).train()
    absent = make_series(t=1, bands=2)._replace(valid=torch.zeros(2, 1, 1, 1, dtype=torch.bool))
    backbone({'s2': make_series(), 's1': absent}).pooled.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


def test_attention_over_dates_sums_to_one() -> None:
    series = make_series()
    weights = build().attention_over_dates({'s2': add_dates(series, 2)})
    assert weights.shape == (2, 5, 4, 7, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, 4, 7))
    assert not weights[..., 5:].any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(positions='dates'), 'positions'),
        (dict(num_heads=3), 'num_heads: 3'),
        (dict(norm_groups=5), 'norm_groups: 5'),
        (dict(widths=()), 'widths'),
        (dict(further_sensors=dict(s2=1)), 'first sensor'),
    ],
)
def test_refuses_what_cannot_work(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_names_what_is_wrong_with_the_inputs() -> None:
    with pytest.raises(KeyError, match='s2'):
        build()({'s1': make_series()})
    with pytest.raises(ValueError, match='3 bands'):
        build()({'s2': make_series(bands=4)})
