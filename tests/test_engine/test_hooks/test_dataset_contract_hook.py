import pytest
import torch

from mmsits.engine import ConfigError
from mmsits.engine.hooks.dataset_contract_hook import bind_statistics
from mmsits.models import SeriesDataPreprocessor

META = dict(bands={'s2': ('B04', 'B08')}, statistics={'s2': dict(mean=[1.0, 2.0], std=[3.0, 4.0])})


def test_missing_statistics_come_from_the_dataset() -> None:
    preprocessor = SeriesDataPreprocessor(sensors=dict(s2=2))
    assert bind_statistics(preprocessor, META) == ['s2']
    assert preprocessor.mean_s2.tolist() == [1.0, 2.0]
    assert preprocessor.std_s2.tolist() == [3.0, 4.0]


def test_configured_statistics_are_kept() -> None:
    preprocessor = SeriesDataPreprocessor(sensors=dict(s2=2), statistics=dict(s2=dict(mean=[0, 0], std=[9, 9])))
    assert bind_statistics(preprocessor, META) == []
    assert preprocessor.std_s2.tolist() == [9.0, 9.0]


def test_bands_and_sensors_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"sensor 's2' has 2 bands in the dataset \(B04, B08\), the model takes 10"):
        bind_statistics(SeriesDataPreprocessor(sensors=dict(s2=10)), META)
    with pytest.raises(ConfigError, match="the dataset gives the sensor 's2'"):
        bind_statistics(SeriesDataPreprocessor(sensors=dict(s1a=3)), META)
    assert bind_statistics(torch.nn.Identity(), META) == []
