from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger

from mmsits.datasets import PASTISDataset
from mmsits.datasets.errors import DataError
from mmsits.engine import ConfigError, DatasetContractHook
from mmsits.engine.hooks.dataset_contract_hook import bind_statistics
from mmsits.models import SeriesDataPreprocessor
from tests.helpers.pastis_miniature import write_pastis_miniature

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


@pytest.mark.parametrize('wrap', [lambda parts: ConcatDataset(parts), lambda parts: RepeatDataset(parts[0], 2)])
def test_data_in_wrapped_datasets_are_described_and_compared(tmp_path: Path, wrap) -> None:
    pipeline = [dict(type=name) for name in ('LoadSeries', 'LoadSeriesLabels', 'PackSeriesInputs')]
    folder = write_pastis_miniature(tmp_path / 'data', patches=5)
    dataset = wrap([PASTISDataset(folder, folds=[1, 2], pipeline=pipeline) for _ in range(2)])
    of_reflectance = {'s2': dict(mean=[0.2] * 10, std=[0.1] * 10)}
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=dataset),
        model=torch.nn.Module(),
        logger=MMLogger.get_instance(f'wrapped {type(dataset).__name__}'),
        work_dir=str(tmp_path),
    )
    runner.model.data_preprocessor = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=of_reflectance)
    with pytest.raises(DataError, match='do not suit the statistics that the model normalises with'):
        DatasetContractHook().before_train(runner)
    assert f'{type(dataset).__name__}: 4 samples' in (tmp_path / 'data_card.txt').read_text()
