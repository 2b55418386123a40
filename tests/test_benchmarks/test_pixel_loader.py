"""The loader benchmark measures what it says: all its loaders read the same series."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / 'benchmarks' / 'pixel_loader.py'
spec = importlib.util.spec_from_file_location('pixel_loader', PATH)
assert spec is not None
assert spec.loader is not None
pixel_loader = importlib.util.module_from_spec(spec)


def test_loaders_make_batches_of_the_same_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec.loader.exec_module(pixel_loader)
    monkeypatch.setattr(pixel_loader, 'BATCH', 4)
    monkeypatch.setattr(pixel_loader, 'ROLL', dict(type='RollDates', probability=0.0))
    monkeypatch.setattr(pixel_loader, 'roll', lambda x: x)
    pixel_loader.write_series(tmp_path, 8)
    loaders = pixel_loader.open_loaders(tmp_path)
    draws = [pixel_loader.DrawIndex(index, index, 0) for index in (2, 0, 3, 7)]
    (x, mask, days, weight), labels = loaders['one by one'](draws)
    ready = loaders['batched, ready'](draws)
    series = ready['inputs']['s2']
    assert ready['targets'].flatten().tolist() == labels.tolist()
    valid = series.valid[..., 0, 0]
    assert (~mask).sum(1).tolist() == valid.sum(1).tolist()
    # Those of 70 dates or fewer are the same; of the others both draw.
    for row in np.flatnonzero(mask.any(1)):
        kept, there = ~mask[row], valid[row]
        np.testing.assert_allclose(x[row, kept], series.values[row, there, :, 0, 0], rtol=1e-4, atol=1e-5)
        assert (days[row, kept] - 1).tolist() == series.days[row, there].tolist()
        np.testing.assert_allclose(
            weight[row, kept], loaders['batched, weighted'](draws)[row, there], rtol=1e-4, atol=1e-6
        )
    query, key = loaders['two views, one by one'](draws)
    assert query[0].shape == key[0].shape == (4, 70, 10)
    assert set(loaders['two views'](draws)) == {'query', 'key'}
    seconds, unit = pixel_loader.measure(loaders, 8, 1)
    assert list(seconds) == list(loaders)
    assert unit > 0
