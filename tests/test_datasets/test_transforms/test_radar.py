"""Radar transforms in a pipeline: units follow, invalid pixels stay out, draws repeat."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.datasets import BrandenburgDataset, DataError, PASTISDataset, SloveniaDataset
from mmsits.datasets.backscatter import check_backscatter, unit_kind
from mmsits.datasets.transforms import (
    AddSpectralIndices,
    ConvertBackscatter,
    FilterSpeckle,
    LoadSeries,
    PackSeriesInputs,
    SimulateSpeckle,
)
from tests.helpers.mat_miniature import write_brandenburg, write_mts12
from tests.helpers.pastis_miniature import write_pastis_miniature


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_brandenburg(tmp_path_factory.mktemp('brandenburg'))


def dataset(root: Path, *steps, **options) -> BrandenburgDataset:
    return BrandenburgDataset(str(root), split='train', pipeline=[*steps, PackSeriesInputs()], **options)


def values(held) -> torch.Tensor:
    return held[0]['inputs']['s1'].values


@pytest.mark.parametrize(
    ('unit', 'kind'),
    [
        ('dB', 'decibel'),
        ('sigma0 dB', 'decibel'),
        ('gamma0 [dB]', 'decibel'),
        ('dB of sigma0', 'decibel'),
        ('dB x 100', None),
        ('linear', 'linear'),
        ('gamma0 linear', 'linear'),
        ('dB stretched to 0..255', None),
        ('reflectance x 10000', None),
    ],
)
def test_units(unit: str, kind: str | None) -> None:
    assert unit_kind(unit) == kind


def test_conversion_changes_values_and_unit_and_goes_back(root: Path) -> None:
    plain, linear = dataset(root), dataset(root, ConvertBackscatter('linear'))
    back = dataset(root, ConvertBackscatter('linear'), ConvertBackscatter('dB'))
    torch.testing.assert_close(values(linear), 10 ** (values(plain) / 10))
    torch.testing.assert_close(values(back), values(plain), atol=1e-4, rtol=0)
    assert [held.metainfo['units']['s1'] for held in (plain, linear, back)] == ['dB', 'linear', 'dB']


def test_statistics_of_the_files_do_not_outlive_their_unit(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(BrandenburgDataset, 'load_statistics', lambda self: dict(s1=dict(mean=[0, 0], std=[1, 1])))
    assert 's1' in dataset(root).metainfo['statistics']
    assert 's1' not in dataset(root, ConvertBackscatter('linear')).metainfo['statistics']


def test_the_filter_gives_the_same_in_either_unit(root: Path) -> None:
    decibels = dataset(root, FilterSpeckle(3), ConvertBackscatter('linear'))
    linear = dataset(root, ConvertBackscatter('linear'), FilterSpeckle(3))
    torch.testing.assert_close(values(decibels), values(linear), rtol=1e-4, atol=1e-7)
    assert values(linear).var() < values(dataset(root, ConvertBackscatter('linear'))).var()


def test_indices_follow_the_unit(root: Path) -> None:
    names = dict(s1=('radar_RVI',))
    from_decibels = values(dataset(root, AddSpectralIndices(names)))[:, 2]
    from_powers = values(dataset(root, ConvertBackscatter('linear'), AddSpectralIndices(names)))[:, 2]
    torch.testing.assert_close(from_decibels, from_powers, rtol=1e-4, atol=1e-5)


def test_simulated_speckle_repeats_by_draw_and_leaves_the_mean(root: Path) -> None:
    held = dataset(root, ConvertBackscatter('linear'), SimulateSpeckle(4, 1.0))
    assert (values(held) == values(held)).all()
    assert (held[0]['inputs']['s1'].values != held[1]['inputs']['s1'].values).any()
    plain = values(dataset(root, ConvertBackscatter('linear')))
    assert (values(held) / plain).mean().item() == pytest.approx(1, abs=0.05)
    assert (values(dataset(root, SimulateSpeckle(4, 0.0))) == values(dataset(root))).all()


def test_ascending_and_descending_orbits_are_two_sensors(tmp_path: Path) -> None:
    root = write_pastis_miniature(tmp_path, sensors=('s1a', 's1d'))
    step = FilterSpeckle(3, sensors='s1a')
    held = PASTISDataset(str(root), sensors=('s1a', 's1d'), pipeline=[LoadSeries(), step, PackSeriesInputs()])
    plain = PASTISDataset(str(root), sensors=('s1a', 's1d'), pipeline=[LoadSeries(), PackSeriesInputs()])
    ours, theirs = held[0]['inputs'], plain[0]['inputs']
    assert (ours['s1d'].values == theirs['s1d'].values).all()
    assert (ours['s1a'].values != theirs['s1a'].values).any()


def test_units_that_are_neither_are_refused_when_the_dataset_is_opened(tmp_path: Path) -> None:
    root = write_mts12(tmp_path)
    for step in (ConvertBackscatter('dB'), FilterSpeckle()):
        with pytest.raises(ValueError, match='neither dB nor linear'):
            SloveniaDataset(str(root), pipeline=[step, PackSeriesInputs()])
    held = SloveniaDataset(str(root), pipeline=[SimulateSpeckle(4, 1.0), PackSeriesInputs()])
    with pytest.raises(ValueError, match='neither dB nor linear'):
        held[0]


def test_values_that_contradict_their_unit() -> None:
    decibels = np.random.default_rng(0).normal(-14, 3, 100)
    check_backscatter(decibels, 'dB')
    check_backscatter(10 ** (decibels / 10), 'linear')
    check_backscatter(np.zeros(3), 'dB')
    check_backscatter(np.full(3, np.nan), 'linear')
    # A few powers below zero are left by the subtraction of noise.
    check_backscatter(np.append(10 ** (decibels / 10), [-0.001] * 10), 'linear')
    with pytest.raises(DataError, match='linear values'):
        check_backscatter(10 ** (decibels / 10), 'dB')
    with pytest.raises(DataError, match='digital numbers'):
        check_backscatter(np.full(5, 800), 'dB')
    with pytest.raises(DataError, match='look like dB'):
        check_backscatter(decibels, 'linear')


def test_options_that_cannot_be() -> None:
    for build in (
        lambda: ConvertBackscatter('decibel'),
        lambda: FilterSpeckle(4),
        lambda: SimulateSpeckle(0),
        lambda: SimulateSpeckle((8, 4)),
        lambda: SimulateSpeckle(4, 2.0),
    ):
        with pytest.raises(ValueError, match=r'ConvertBackscatter|FilterSpeckle|SimulateSpeckle'):
            build()
