"""The loader benchmark measures what it says: all its loaders read the same parcels."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / 'benchmarks' / 'parcel_loader.py'
spec = importlib.util.spec_from_file_location('parcel_loader', PATH)
assert spec is not None
assert spec.loader is not None
parcel_loader = importlib.util.module_from_spec(spec)


def test_loaders_make_batches_of_the_same_parcels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('numcodecs')
    spec.loader.exec_module(parcel_loader)
    monkeypatch.setattr(parcel_loader, 'BATCH', 3)
    parcel_loader.write_domain(tmp_path, 4)
    loaders = parcel_loader.open_loaders(tmp_path)
    draws = [parcel_loader.DrawIndex(index, index, 0) for index in (2, 0, 3)]
    published = loaders['one by one'](draws)
    assert published['pixels'].shape == (3, 30, 10, 64)
    zarr, packed = loaders['zarr'](draws), loaders['packed'](draws)
    np.testing.assert_array_equal(zarr['inputs']['s2'].values, packed['inputs']['s2'].values)
    assert packed['inputs']['s2'].values.shape == (3, 30, 10, 64, 1)
    assert set(loaders['packed, pairs'](draws)) == {'target_weak', 'target_strong'}
    seconds, unit = parcel_loader.measure(loaders, parcels=4, repeats=1)
    assert list(seconds) == list(loaders)
    assert min(*seconds.values(), unit) > 0
