"""Several sensors in one network: what is missing has no influence, and each place of fusion joins what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmsits.models import FusionBackbone, SiameseUNet3D
from mmsits.models.layers.series_joining import interpolate_to, join_series
from mmsits.structures import ImageSeries

UTAE = dict(type='UTAE', encoder_widths=(8, 16), decoder_widths=(8, 16), n_head=4, d_model=16)


def series(bands: int, dates: int = 6, size: int = 16, batch: int = 2, seed: int = 0, first: int = 0) -> ImageSeries:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, dates, bands, size, size, generator=generator)
    days = (first + 30 * torch.arange(dates)).int().expand(batch, -1)
    return ImageSeries(values, days, torch.ones(batch, dates, 1, 1, dtype=torch.bool))


def without(held: ImageSeries, row: int) -> ImageSeries:
    """The series of one sample is missing, whatever stands there."""
    valid = held.valid.clone()
    valid[row] = False
    values = held.values.clone()
    values[row] = 1e6
    return held._replace(values=values, valid=valid)


def padded(held: ImageSeries, count: int = 2) -> ImageSeries:
    values = torch.cat([held.values, torch.full_like(held.values[:, :count], 7.0)], 1)
    days = torch.cat([held.days, torch.zeros_like(held.days[:, :count])], 1)
    return ImageSeries(values, days, torch.cat([held.valid, torch.zeros_like(held.valid[:, :count])], 1))


def networks() -> dict[str, Any]:
    mid = {'s1': dict(UTAE, in_channels=2), 's2': dict(UTAE, in_channels=10)}
    return {
        'siamese': SiameseUNet3D(width=4),
        'siamese by days': SiameseUNet3D(width=4, days=(0, 150)),
        'mid': FusionBackbone(mid, 'mid'),
        'late': FusionBackbone(mid, 'late'),
        'early': FusionBackbone({'s1': dict(UTAE, in_channels=12), 's2': None}, 'early'),
    }


@pytest.fixture(scope='module')
def built() -> dict[str, Any]:
    torch.manual_seed(0)
    return {name: network.eval() for name, network in networks().items()}


NAMES = ['siamese', 'siamese by days', 'mid', 'late', 'early']


@pytest.mark.parametrize('name', NAMES)
@torch.no_grad()
def test_a_missing_sensor_has_no_influence_and_the_network_answers(built: dict[str, Any], name: str) -> None:
    network, s1, s2 = built[name], series(2), series(10, seed=1, first=5)
    whole = network({'s1': s1, 's2': s2})
    for inputs in ({'s1': without(s1, 0), 's2': s2}, {'s1': s1, 's2': without(s2, 0)}):
        maps = network(inputs)
        other = {sensor: held._replace(values=held.values.clone()) for sensor, held in inputs.items()}
        for held in other.values():
            held.values[~held.valid.any(1).flatten()] = -3.0
        for found, expected, again in zip(maps, whole, network(other), strict=True):
            assert found.isfinite().all()
            torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found[0], again[0])
            assert not torch.allclose(found[0], expected[0], atol=1e-4)


@pytest.mark.parametrize('name', NAMES)
@torch.no_grad()
def test_padded_dates_change_nothing(built: dict[str, Any], name: str) -> None:
    inputs = {'s1': series(2), 's2': series(10, dates=5, seed=1, first=5)}
    more = {'s1': padded(inputs['s1']), 's2': padded(inputs['s2'], 3)}
    for found, expected in zip(built[name](more), built[name](inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
@torch.no_grad()
def test_widths_are_those_that_are_named(built: dict[str, Any], name: str) -> None:
    maps = built[name]({'s1': series(2), 's2': series(10)})
    assert tuple(m.shape[1] for m in maps) == built[name].out_channels
    assert maps[0].shape[-2:] == (16, 16)


@torch.no_grad()
def test_streams_do_not_share_weights_and_keep_their_places() -> None:
    torch.manual_seed(0)
    network = SiameseUNet3D(width=4).eval()
    s1, s2 = series(2), series(10)
    both = network({'s1': s1, 's2': s2})[0]
    torch.testing.assert_close(both[:, :4], network.streams['s1']({'s1': s1})[0])
    torch.testing.assert_close(both[:, 4:], network.streams['s2']({'s2': s2})[0])
    assert not any(a is b for a in network.streams['s1'].parameters() for b in network.streams['s2'].parameters())


@torch.no_grad()
def test_by_days_a_missing_month_shifts_no_other() -> None:
    torch.manual_seed(0)
    network = SiameseUNet3D(in_channels={'s1': 2, 's2': 3}, width=4, days=(0, 150)).eval()
    s2 = series(3)
    middle = s2._replace(values=s2.values.clone())
    middle.values[:, 2] = (s2.values[:, 1] + s2.values[:, 3]) / 2
    gone = s2.valid.clone()
    gone[:, 2] = False
    s1 = series(2)
    found = network({'s1': s1, 's2': s2._replace(valid=gone)})[0]
    torch.testing.assert_close(found, network({'s1': s1, 's2': middle})[0], rtol=1e-4, atol=1e-4)
    other = FusionBackbone(
        {
            's1': dict(type='CollapsedUNet', in_channels=2, width=4),
            's2': dict(type='CollapsedUNet', in_channels=3, width=4),
        }
    )
    other.load_state_dict(network.state_dict())
    by_order = other.eval()({'s1': s1, 's2': s2._replace(valid=gone)})[0]
    assert not torch.allclose(by_order, found, atol=1e-3)


LEVELS_OF_ONE_AND_FOUR_PIXELS = dict(
    type='SLGT2Net',
    embed_dims=(24, 48),
    depths=(1, 1),
    num_heads=(3, 6),
    window_sizes=((7, 7, 7), (7, 7, 7)),
    window_lengths=((2, 2, 2), (1, 1, 1)),
    length=4,
)


@pytest.mark.parametrize(
    ('stream', 'fusion'),
    [
        (LEVELS_OF_ONE_AND_FOUR_PIXELS, 'mid'),
        (dict(type='TSViT', num_classes=3, dim=8, temporal_depth=1, spatial_depth=1), 'late'),
        (dict(type='PixelSetBackbone', encoder=dict(type='LTAE')), 'late'),
        # Not only maps, but features of single dates behind them.
        (dict(type='STCLN', widths=(8, 16), num_layers=1, num_heads=2, norm_groups=4, day_repeats=2), 'late'),
    ],
    ids=lambda part: part['type'] if isinstance(part, dict) else part,
)
@torch.no_grad()
def test_maps_are_as_large_without_any_sample_of_the_first_sensor(stream: dict[str, Any], fusion: Any) -> None:
    """Whatever the levels of the backbones are; a sample gives the same alone as among others that have the sensor."""
    torch.manual_seed(0)
    network = FusionBackbone({'s1': dict(stream, in_channels=2), 's2': dict(stream, in_channels=3)}, fusion).eval()
    s1, s2 = without(series(2), 0), series(3)
    alone = network({'s1': ImageSeries(*(part[:1] for part in s1)), 's2': ImageSeries(*(part[:1] for part in s2))})
    for found, expected in zip(alone, network({'s1': s1, 's2': s2}), strict=True):
        torch.testing.assert_close(found, expected[:1], rtol=1e-4, atol=1e-5)


def test_looking_up_the_size_of_absent_maps_leaves_no_trace() -> None:
    torch.manual_seed(0)
    network = SiameseUNet3D(width=4).train()
    network.streams['s1'].unet.bottleneck.eval()
    before = {name: value.clone() for name, value in network.streams['s1'].state_dict().items()}
    s1 = series(2)
    network({'s1': s1._replace(valid=torch.zeros_like(s1.valid)), 's2': series(10)})
    assert all(value.equal(before[name]) for name, value in network.streams['s1'].state_dict().items())
    assert not network.streams['s1'].unet.bottleneck.training
    assert network.streams['s1'].collapse.training


def test_several_sensors_of_parcels_give_one_vector() -> None:
    parcels = dict(type='PixelSetBackbone', encoder=dict(type='LTAE'))
    network = FusionBackbone({'s1': dict(parcels, in_channels=2), 's2': dict(parcels, in_channels=3)})
    assert network.pools_space
    assert not SiameseUNet3D(width=4).pools_space
    with pytest.raises(ValueError, match=r"\['s1'\] give one vector"):
        FusionBackbone({'s1': dict(parcels, in_channels=2), 's2': dict(UTAE, in_channels=3)})


def test_dropped_sensors_are_seen_as_missing_and_never_all_of_them() -> None:
    torch.manual_seed(0)
    network = SiameseUNet3D(width=4, sensor_dropout=0.9)
    inputs = {'s1': series(2, batch=16), 's2': without(series(10, batch=16), 3)}
    present = network.train()._present(inputs)
    held = torch.stack(list(present.values()))
    assert held.any(0).all()
    assert not held.all()
    assert present['s1'][3]
    assert torch.stack(list(network.eval()._present(inputs).values())).sum() == 31


def test_a_batch_without_one_sensor_trains_and_touches_all_parameters() -> None:
    torch.manual_seed(0)
    network = SiameseUNet3D(width=4).train()
    s2 = series(10)
    network({'s1': series(2), 's2': s2._replace(valid=torch.zeros_like(s2.valid))})[0].square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def slowly_interpolated(held: ImageSeries, day: int, row: int, pixel: tuple[int, int]) -> Tensor:
    y, x = pixel
    per_pixel = held.valid.shape[-1] > 1
    known = held.valid[row, :, y if per_pixel else 0, x if per_pixel else 0].nonzero().flatten().tolist()
    if not known:
        return torch.zeros(held.values.shape[2])
    days, values = held.days[row].tolist(), held.values[row, :, :, y, x]
    before = [t for t in known if days[t] <= day]
    after = [t for t in known if days[t] >= day]
    if not before or not after:
        return values[before[-1] if before else after[0]]
    a, b = before[-1], after[0]
    return values[a] if a == b else torch.lerp(values[a], values[b], (day - days[a]) / (days[b] - days[a]))


def test_interpolation_is_between_the_neighbouring_valid_dates_of_each_pixel() -> None:
    held = series(3, dates=5, size=4)
    valid = torch.rand(2, 5, 4, 4, generator=torch.Generator().manual_seed(1)) > 0.5
    valid[:, :, 0, 0] = False
    held = held._replace(valid=valid)
    days = torch.tensor([[-5, 0, 31, 60, 200], [7, 30, 45, 90, 121]], dtype=torch.int32)
    found = interpolate_to(held, days)
    for row in range(2):
        for step, day in enumerate(days[row].tolist()):
            for pixel in ((0, 0), (1, 2), (3, 3)):
                expected = slowly_interpolated(held, day, row, pixel)
                torch.testing.assert_close(found[row, step, :, pixel[0], pixel[1]], expected)


def test_joined_series_has_the_dates_of_both_in_order() -> None:
    s1, s2 = series(2, dates=3, size=4), series(3, dates=2, size=4, first=10)
    joined = join_series([s1, without(s2, 1)])
    assert joined.days[0].tolist() == [0, 10, 30, 40, 60]
    assert joined.days[1].tolist() == [0, 30, 60, 0, 0]
    assert joined.valid[1, :, 0, 0].tolist() == [True] * 3 + [False] * 2
    torch.testing.assert_close(joined.values[0, [0, 2, 4], :2], s1.values[0])
    torch.testing.assert_close(joined.values[0, [1, 3], 2:], s2.values[0])
    assert (joined.values[1, :, 2:] == 0).all()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(backbones={'s2': dict(UTAE, in_channels=10)}), 'two sensors'),
        (dict(backbones={'s1': dict(UTAE, in_channels=2), 's2': None}, fusion='mid'), 'config for each'),
        (
            dict(backbones={'s1': dict(UTAE, in_channels=2), 's2': dict(UTAE, in_channels=2)}, fusion='early'),
            'one backbone',
        ),
        (dict(backbones={'s1': dict(UTAE, in_channels=2), 's2': None}, fusion='nowhere'), 'early, mid, late'),
        (
            dict(
                backbones={'s1': dict(UTAE, in_channels=2), 's2': dict(type='UNet3D', in_channels=10, feats=2)},
                fusion='mid',
            ),
            'levels',
        ),
        (dict(backbones={'s1': dict(UTAE, in_channels=12), 's2': None}, fusion='early', sensor_dropout=0.5), 'dropout'),
    ],
)
def test_what_cannot_work_is_refused_in_words(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FusionBackbone(**arguments)


def test_an_absent_key_is_named() -> None:
    with pytest.raises(KeyError, match='s2'):
        SiameseUNet3D(width=4)({'s1': series(2)})
