"""Masked pre-training: what is hidden, what a network may see, and what is learnt from."""

from typing import Any

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.models import MaskedSeriesModel, SeriesMask
from mmsits.models.pretraining import VegetationGate
from mmsits.models.pretraining.series_mask import leave_something
from mmsits.structures import ImageSeries, SampleMeta

init_default_scope('mmseg')

BACKBONES: dict[str, dict[str, Any]] = {
    'stcln': dict(
        type='STCLN', in_channels=3, widths=(4, 16), num_heads=2, norm_groups=2, day_repeats=2, num_layers=1, dropout=0
    ),
    'utae': dict(
        type='UTAE', in_channels=3, encoder_widths=(8, 16), decoder_widths=(8, 16), n_head=4, d_model=16, dropout=0
    ),
    'pixelwise': dict(
        type='PixelwiseBackbone', in_channels=3, encoder=dict(type='LTAE', in_channels=16, n_head=2, mlp=[256, 8])
    ),
}


def build(backbone: str | dict = 'stcln', **options: Any) -> MaskedSeriesModel:
    torch.manual_seed(0)
    config = BACKBONES[backbone] if isinstance(backbone, str) else backbone
    return MODELS.build(dict(type='MaskedSeriesModel', backbone=config, **options))


def make_series(n: int = 2, t: int = 6, size: int = 8, bands: int = 3, seed: int = 0) -> ImageSeries:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, t, bands, size, size, generator=generator)
    days = torch.arange(t, dtype=torch.int32).mul(30).expand(n, t)
    return ImageSeries(values, days, torch.ones(n, t, 1, 1, dtype=torch.bool))


def both_sensors() -> dict[str, ImageSeries]:
    return {'s2': make_series(), 's1': make_series(t=4, bands=2, seed=1)}


def two_sensor_backbone() -> dict:
    return dict(BACKBONES['stcln'], further_sensors=dict(s1=2))


@pytest.mark.parametrize('over', ['dates_and_space', 'dates', 'space'])
@pytest.mark.parametrize('block_size', [1, 3])
def test_masks_hide_their_share_of_whole_cells(over: str, block_size: int) -> None:
    torch.manual_seed(0)
    valid = torch.rand(60, 20, 1, 1).expand(60, 20, 9, 9) < 0.8
    hidden = SeriesMask(0.3, over, block_size).draw(valid)
    assert not (hidden & ~valid).any()
    share = hidden.sum() / valid.sum()
    assert abs(share - 0.3) < 0.05
    if over == 'dates':
        assert torch.equal(hidden.flatten(2).any(-1), hidden.flatten(2).all(-1))
    elif over == 'space':
        assert torch.equal(hidden, hidden.any(1, keepdim=True) & valid)
    if over != 'dates' and block_size == 3:
        # Neighbours in a row share their cell two times out of three.
        together = (hidden[..., 1:] == hidden[..., :-1])[valid[..., 1:]].float().mean()
        assert abs(together - (2 / 3 + (1 - 2 * 0.3 * 0.7) / 3)) < 0.05


def test_blocks_on_a_fixed_grid_hide_whole_pixels_of_coarse_bands() -> None:
    torch.manual_seed(0)
    valid = torch.ones(4, 5, 12, 18, dtype=torch.bool)
    cells = SeriesMask(0.4, block_size=6, fixed_grid=True).draw(valid)
    # As pixels of 60 m lie in one of 10 m: 6 by 6.
    cells = cells.unflatten(3, (3, 6)).unflatten(2, (2, 6)).transpose(3, 4).flatten(4)
    assert torch.equal(cells.any(-1), cells.all(-1))
    assert 0 < cells.float().mean() < 1
    moved = SeriesMask(0.4, block_size=6).draw(valid)
    moved = moved.unflatten(3, (3, 6)).unflatten(2, (2, 6)).transpose(3, 4).flatten(4)
    assert not torch.equal(moved.any(-1), moved.all(-1))


def test_masks_follow_their_generator_and_may_be_shared() -> None:
    valid = torch.ones(4, 6, 5, 5, dtype=torch.bool)
    mask = SeriesMask(0.5, block_size=2)
    first, second = (mask.draw(valid, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    shared = SeriesMask(0.5, 'dates', same_in_batch=True).draw(valid)
    assert torch.equal(shared, shared[:1].expand_as(shared))


@pytest.mark.parametrize('ratio', [0.0, 1.0, -0.1, 1.5])
def test_a_mask_that_hides_everything_or_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match='ratio'):
        SeriesMask(ratio)
    mask = SeriesMask(0.5)
    with pytest.raises(ValueError, match='ratio'):
        mask.ratio = ratio


def test_where_all_would_be_hidden_one_date_stays() -> None:
    valid = torch.ones(3, 4, 2, 2, dtype=torch.bool)
    valid[1, 1:] = False
    valid[2] = False
    left = leave_something({'s2': valid.clone(), 's1': valid.clone()}, {'s2': valid, 's1': valid})
    visible = sum((valid & ~left[sensor]).flatten(2).all(-1).sum(1) for sensor in left)
    assert visible.tolist() == [1, 1, 0]
    single = leave_something({'s2': valid[1:2].clone()}, {'s2': valid[1:2]})
    assert not single['s2'].any()


def test_a_series_with_one_date_is_not_hidden_and_teaches_nothing() -> None:
    model, series = build(mask=dict(ratio=0.9, over='dates')), make_series(1, 1)
    losses = model({'s2': series}, mode='loss')
    assert losses['loss_s2'] == 0
    assert losses['hidden'] == 0
    losses['loss_s2'].backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize('backbone', sorted(BACKBONES))
def test_the_network_sees_nothing_of_what_is_hidden(backbone: str) -> None:
    model, series = build(backbone).eval(), make_series()
    hidden = model.draw({'s2': series}, torch.Generator().manual_seed(0))
    changed = series._replace(values=torch.where(hidden['s2'].unsqueeze(2), 1e3, series.values))
    ours, theirs = (model.reconstruct({'s2': s}, hidden)['s2'] for s in (series, changed))
    torch.testing.assert_close(ours, theirs)
    visible = series._replace(values=torch.where(hidden['s2'].unsqueeze(2), series.values, -series.values))
    assert (model.reconstruct({'s2': visible}, hidden)['s2'] - ours).abs().max() > 1e-4


@pytest.mark.parametrize('backbone', sorted(BACKBONES))
def test_the_loss_is_the_mean_squared_error_of_what_is_hidden(backbone: str) -> None:
    model, series = build(backbone).eval(), make_series()
    series.valid[0, 4:] = False
    hidden = model.draw({'s2': series})
    assert not hidden['s2'][0, 4:].any()
    total, count = model.squared_errors({'s2': series}, hidden)['s2']
    errors = (model.reconstruct({'s2': series}, hidden)['s2'] - series.values).square()
    wanted = hidden['s2'].unsqueeze(2).expand_as(errors)
    torch.testing.assert_close(total / count, errors[wanted].mean())


@pytest.mark.parametrize('backbone', ['stcln', 'pixelwise'])
def test_a_pattern_in_time_is_learnt(backbone: str) -> None:
    model = build(backbone, mask=dict(ratio=0.3, over='dates'))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    days = torch.arange(6, dtype=torch.int32).mul(30).expand(2, 6)
    level = torch.tensor([1.0, -1.0])[:, None] * torch.sin(days / 30.0)
    series = ImageSeries(
        level[:, :, None, None, None].expand(2, 6, 3, 2, 2).clone(), days, torch.ones(2, 6, 1, 1, dtype=torch.bool)
    )
    losses = []
    for step in range(25):
        torch.manual_seed(step)
        loss = model({'s2': series}, mode='loss')['loss_s2']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert model.mask_tokens['s2'].grad is not None


def test_evaluation_repeats_itself_and_leaves_random_numbers_alone() -> None:
    model, inputs = build().eval(), {'s2': make_series()}
    state = torch.get_rng_state()
    first, second = (model(inputs, mode='predict')[0]['errors']['s2'] for _ in range(2))
    assert first == second
    assert first[1] > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert model(inputs, mode='tensor').shape == (2, 16)


def test_evaluation_does_not_follow_the_ratio_of_training() -> None:
    model, inputs = build().eval(), {'s2': make_series()}
    before = model.evaluate(inputs)['errors']['s2']
    model.mask.ratio = 0.9
    assert model.evaluate(inputs)['errors']['s2'] == before
    assert model.draw(inputs)['s2'].sum() > model.draw_fixed(inputs)['s2'].sum()


def test_the_gate_knows_statistics_of_the_samples_own() -> None:
    model = build(
        dict(BACKBONES['stcln'], in_channels=2),
        vegetation_gate=dict(red=0, nir=1),
        data_preprocessor=dict(
            type='SeriesDataPreprocessor', sensors=dict(s2=2), statistics=dict(s2=dict(mean=[0.0] * 2, std=[1.0] * 2))
        ),
    )
    series = green_series(1.0)
    own = dict(mean=[0.0, 0.1], std=[1.0, 0.5])
    values = (series.values - torch.tensor(own['mean'])[:, None, None]) / torch.tensor(own['std'])[:, None, None]
    values[0, 1, 1] = 0.5  # 0.35 as reflectance: NDVI 0.08, but 0.25 with the model's statistics
    inputs = {'s2': series._replace(values=values)}
    every = {'s2': torch.ones(1, 2, 10, 10, dtype=torch.bool)}
    assert model.pass_gate(inputs, every)['s2'].flatten(2).any(2).tolist() == [[True, True]]
    metas = [SampleMeta(sample_id='a', season_start=0, statistics=dict(s2=own))]
    assert model.pass_gate(inputs, every, metas)['s2'].flatten(2).any(2).tolist() == [[True, False]]


def test_a_sensor_is_reconstructed_from_the_other() -> None:
    model, inputs = build(two_sensor_backbone(), hide_sensor=1.0).eval(), both_sensors()
    for _ in range(3):
        hidden = model.draw(inputs)
        whole = torch.stack([hidden[sensor].flatten(1).all(1) for sensor in ('s2', 's1')])
        assert torch.equal(whole.sum(0), torch.ones(2, dtype=torch.int64))
    losses = model(inputs, mode='loss')
    assert {'loss_s2', 'loss_s1'} <= losses.keys()
    absent = inputs | {'s1': inputs['s1']._replace(valid=torch.zeros(2, 4, 1, 1, dtype=torch.bool))}
    hidden = model.draw(absent)
    assert not hidden['s1'].any()
    assert not hidden['s2'].flatten(1).all(1).any()
    assert model(absent, mode='loss')['loss_s1'] == 0


def test_a_sensor_that_is_not_read_is_reconstructed_from_one_that_is() -> None:
    model = build('utae', reconstruct=dict(s1=2))
    losses = model(both_sensors(), mode='loss')
    assert losses['loss_s1'] > 0
    assert 'loss_s2' not in losses
    with pytest.raises(ValueError, match='further_sensors'):
        build(reconstruct=dict(s1=2))
    with pytest.raises(ValueError, match="'s1'"):
        model({'s2': make_series()}, mode='loss')


def green_series(share: float) -> ImageSeries:
    """Two dates of 10 x 10 pixels: on the first, a share of the pixels is green."""
    values = torch.zeros(1, 2, 2, 10, 10)
    values[:, :, 0], values[:, :, 1] = 0.3, 0.31
    values[0, 0, 1].flatten()[: round(100 * share)] = 0.9
    return ImageSeries(values, torch.zeros(1, 2, dtype=torch.int32), torch.ones(1, 2, 1, 1, dtype=torch.bool))


@pytest.mark.parametrize(('share', 'passes'), [(1.0, True), (0.91, True), (0.9, False), (0.0, False)])
def test_only_green_dates_pass_the_gate(share: float, passes: bool) -> None:
    gate = VegetationGate(red=0, nir=1, of_normalised_values=True)
    assert gate(green_series(share)).tolist() == [[passes, False]]


def test_pixels_under_clouds_do_not_count_at_the_gate() -> None:
    series = green_series(0.5)
    valid = torch.ones(1, 2, 10, 10, dtype=torch.bool)
    valid[0, 0, 5:] = False
    valid[0, 1] = False
    gate = VegetationGate(red=0, nir=1, of_normalised_values=True)
    assert gate(series._replace(valid=valid)).tolist() == [[True, False]]


def test_the_gate_looks_at_reflectances_and_knows_bands_by_name() -> None:
    statistics: tuple[Tensor, Tensor] = (torch.tensor([0.2, 0.1, 0.3]), torch.tensor([2.0, 0.5, 4.0]))
    mean, std = statistics
    gate = VegetationGate(red='B04', nir='B08')
    with pytest.raises(ValueError, match='B04 and B08'):
        gate(green_series(1.0), statistics)
    gate.set_bands({'s2': ('B08', 'B03', 'B04')})
    series = green_series(1.0)
    red, nir = series.values[:, :, :1], series.values[:, :, 1:]
    values = torch.cat([(nir - mean[0]) / std[0], red, (red - mean[2]) / std[2]], 2)
    series = series._replace(values=values)
    assert gate(series, statistics).tolist() == [[True, False]]
    with pytest.raises(ValueError, match='normalisation'):
        gate(series)
    with pytest.raises(ValueError, match='no band B08'):
        gate.set_bands({'s2': ('B04', 'B03')})


def test_what_does_not_pass_the_gate_is_not_hidden() -> None:
    model = build(
        dict(BACKBONES['stcln'], in_channels=2), vegetation_gate=dict(red=0, nir=1, of_normalised_values=True)
    )
    hidden = model.draw({'s2': green_series(1.0)})['s2']
    assert hidden[0, 0].any()
    assert not hidden[0, 1].any()
    losses = model({'s2': green_series(0.0)}, mode='loss')
    assert losses['loss_s2'] == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mask=dict(over='time')), 'over'),
        (dict(mask=dict(block_size=0)), 'block_size'),
        (dict(hide_sensor=2), 'hide_sensor'),
        (dict(reconstruct={}), 'at least one sensor'),
        (dict(vegetation_gate=dict(share=1.0)), 'share'),
        (dict(vegetation_gate=dict(sensor='s3')), 's3'),
        (dict(decoder=dict(hidden_channels=8)), 'linear map'),
    ],
)
def test_refuses_what_cannot_work(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)
    with pytest.raises(ValueError, match='mode'):
        build()({'s2': make_series()}, mode='train')
