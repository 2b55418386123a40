from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import ConcatDataset, InfiniteSampler, RepeatDataset
from mmengine.logging import MMLogger
from mmengine.runner import IterBasedTrainLoop

from mmsits.datasets import PASTISDataset, SeriesSampler
from mmsits.datasets.errors import DataError
from mmsits.engine import ConfigError, DatasetContractHook
from mmsits.engine.hooks.dataset_contract_hook import bind_statistics, check_classes, hand_on_statistics, spare_classes
from mmsits.models import SeriesDataPreprocessor
from mmsits.models.layers import GreennessWeights
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


def test_layers_that_undo_the_normalisation_learn_what_it_is() -> None:
    model = torch.nn.Module()
    statistics = dict(s2=dict(mean=[3.0] * 10, std=[2.0] * 10))
    model.told, model.other = GreennessWeights(mean=[1.0] * 10, std=[1.0] * 10), GreennessWeights(sensor='s2b')
    model.untold = GreennessWeights()
    hand_on_statistics(model)
    assert not model.untold.has_statistics()
    model.data_preprocessor = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=statistics)
    hand_on_statistics(model)
    assert model.untold.mean.tolist() == [3.0] * 10
    assert model.untold.std.tolist() == [2.0] * 10
    assert model.told.mean.tolist() == [1.0] * 10
    assert not model.other.has_statistics()


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


def test_head_with_too_few_classes_is_refused() -> None:
    meta = dict(classes=('meadow', 'corn', 'beet'))
    two, three = (SimpleNamespace(num_classes=number) for number in (2, 3))
    check_classes(three, meta)
    check_classes(three, {})
    check_classes(None, meta)
    for head in (two, [three, two]):
        with pytest.raises(ConfigError, match=r'has 2 classes, the dataset 3 \(meadow, corn, beet\)'):
            check_classes(head, meta)


def test_sampler_that_repeats_the_augmentation_is_named() -> None:
    said: list[str] = []
    logger = SimpleNamespace(warning=said.append, info=lambda text: None)
    for sampler in (SeriesSampler([0, 1], seed=0), InfiniteSampler([0, 1], seed=0)):
        loader = SimpleNamespace(sampler=sampler, dataset=SimpleNamespace(metainfo={}))
        loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
        runner = SimpleNamespace(_train_loop=loop, model=torch.nn.Module(), train_dataloader=loader, logger=logger)
        DatasetContractHook().before_run(runner)
    assert len(said) == 1
    assert said[0].startswith('InfiniteSampler does not number its draws')


def test_classes_that_only_the_head_has_are_counted() -> None:
    data = dict(classes=('corn', 'wheat'))
    assert spare_classes(SimpleNamespace(num_classes=5), data) == 3
    assert spare_classes([SimpleNamespace(num_classes=2), SimpleNamespace(num_classes=3)], data) == 1
    assert spare_classes(SimpleNamespace(num_classes=1), data) == spare_classes(None, data) == 0
    assert spare_classes(SimpleNamespace(num_classes=5), {}) == 0
