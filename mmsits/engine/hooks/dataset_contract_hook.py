"""Binding a model to the dataset that it is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmseg.registry import HOOKS
from torch import nn

from mmsits.engine.errors import ConfigError
from mmsits.models.layers import GreennessWeights
from mmsits.models.pretraining import VegetationGate

MEASURED_SAMPLES = 256


@HOOKS.register_module()
class DatasetContractHook(Hook):
    """Before training: check bands against the model, hand over the normalisation, print and save the data card.

    Statistics that the config gives, or a loaded checkpoint holds, are kept; others are taken from the training
    dataset's `statistics`, and what it does not know (own data, bands that the pipeline adds) is measured on up to
    256 samples as they leave the pipeline.

    Args:
        data_card: Whether to describe the training data (`data_card.json` and `.txt` in the work directory, and the
            log) and to compare their values with the normalisation.

    Raises:
        ConfigError: If a sensor's number of bands differs between model and dataset, or the head has fewer classes.
        DataError: If the values cannot be meant for the statistics (another unit).
    """

    # Before the EMAHook copies the model.
    priority = 'VERY_HIGH'

    def __init__(self, data_card: bool = True) -> None:
        self.data_card = data_card

    def before_run(self, runner: Any) -> None:
        """Bind the model to the training dataset; nothing to do where only a test runs."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        check_classes(getattr(model, 'decode_head', None), metainfo)
        spare = spare_classes(getattr(model, 'decode_head', None), metainfo)
        if spare:
            runner.logger.warning(
                f'The head tells {spare} more classes apart than the dataset has ({", ".join(metainfo["classes"])}); '
                'a prediction of one of them ends the validation. Set num_classes in the head to '
                f'{len(metainfo["classes"])}.'
            )
        if not getattr(runner.train_dataloader.sampler, 'numbers_draws', False):
            runner.logger.warning(
                f'{type(runner.train_dataloader.sampler).__name__} does not number its draws: every pass over the '
                "training data repeats the same augmentation. Use sampler=dict(type='SeriesSampler')."
            )
        bind_bands(model, metainfo)
        taken = bind_statistics(getattr(model, 'data_preprocessor', None), metainfo)
        if taken:
            runner.logger.info(f'Normalisation of {", ".join(taken)} taken from the training dataset.')
        measured = measure_statistics(getattr(model, 'data_preprocessor', None), _described(runner))
        if measured:
            runner.logger.info(
                f'Normalisation of {", ".join(measured)} measured on the training samples, as the dataset knows none.'
            )
        hand_on_statistics(model)

    def before_train(self, runner: Any) -> None:
        """Describe the training data and compare them with the model's normalisation."""
        # Weights that were loaded since may have brought another normalisation.
        hand_on_statistics(runner.model.module if is_model_wrapper(runner.model) else runner.model)
        dataset = _described(runner)
        # A concatenated or repeated dataset hands on the metainfo of what it holds.
        described = 'bands' in (getattr(dataset, 'metainfo', None) or {})
        if not self.data_card or not is_main_process() or not described:
            return
        from mmsits.datasets.data_card import describe_dataset

        card = describe_dataset(dataset)
        runner.logger.info(f'Training data:\n{card.text()}')
        card.save(runner.work_dir)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not getattr(dataset, 'statistics_in_sample', False):
            card.check_statistics(statistics_in_use(getattr(model, 'data_preprocessor', None)))


def _described(runner: Any) -> Any:
    """The training dataset; of several domains the first, the one that the model is normalised by."""
    dataset = runner.train_dataloader.dataset
    return getattr(dataset, 'main', dataset)


def check_classes(head: Any, metainfo: Mapping[str, Any]) -> None:
    """Refuse a decode head, or list of them, that cannot tell all classes of a dataset apart.

    Raises:
        ConfigError: Says how many classes there are; a loss would end in an assertion on the device.
    """
    classes = metainfo.get('classes') or ()
    for part in head if isinstance(head, Iterable) else (head,):
        known = getattr(part, 'num_classes', None)
        if known is not None and known < len(classes):
            raise ConfigError(
                f'{type(part).__name__} has {known} classes, the dataset {len(classes)} ({", ".join(classes)}): set '
                f'num_classes={len(classes)} in the head, or join classes by the label_map of the dataset'
            )


def spare_classes(head: Any, metainfo: Mapping[str, Any]) -> int:
    """How many classes of a decode head, of several the largest, the dataset does not have; 0 if it names none."""
    classes = metainfo.get('classes') or ()
    known = [getattr(part, 'num_classes', None) or 0 for part in (head if isinstance(head, Iterable) else (head,))]
    return max(0, max(known, default=0) - len(classes)) if classes else 0


def bind_bands(model: nn.Module, metainfo: Mapping[str, Any]) -> None:
    """Tell the layers that name bands where these are in the dataset.

    Raises:
        ConfigError: If it has no such band.
    """
    for layer in model.modules():
        if not isinstance(layer, VegetationGate) or 'bands' not in metainfo:
            continue
        try:
            layer.set_bands(metainfo['bands'])
        except ValueError as error:
            raise ConfigError(str(error)) from error


def statistics_in_use(preprocessor: Any) -> dict[str, dict[str, list[float]]]:
    """The normalisation that a `SeriesDataPreprocessor` applies: sensor -> dict(mean=[C], std=[C])."""
    return {
        sensor: {name: preprocessor.get_buffer(f'{name}_{sensor}').tolist() for name in ('mean', 'std')}
        for sensor in getattr(preprocessor, 'sensors', ())
        if preprocessor.has_statistics(sensor)
    }


def bind_statistics(preprocessor: Any, metainfo: Mapping[str, Any]) -> list[str]:
    """Check a data preprocessor against a dataset and give it the statistics that it lacks.

    Args:
        preprocessor: A `SeriesDataPreprocessor`; anything else is left alone.
        metainfo: Metainfo of the training dataset: `bands`, `statistics`.

    Returns:
        Sensors whose statistics were set.

    Raises:
        ConfigError: If a sensor is unknown to the model or has another number of bands.
    """
    if not hasattr(preprocessor, 'set_statistics'):
        return []
    expected = preprocessor.sensors
    for sensor, bands in (metainfo.get('bands') or {}).items():
        if sensor not in expected:
            raise ConfigError(
                f'the dataset gives the sensor {sensor!r}, the model takes {sorted(expected)}: name it in '
                "model.data_preprocessor.sensors, or leave it out of the dataset's sensors"
            )
        if expected[sensor] != len(bands):
            raise ConfigError(
                f'sensor {sensor!r} has {len(bands)} bands in the dataset ({", ".join(bands)}), the model takes '
                f'{expected[sensor]}: make model.data_preprocessor.sensors and the backbone agree with the dataset'
            )
    taken = []
    for sensor, values in (metainfo.get('statistics') or {}).items():
        if sensor in expected and not preprocessor.has_statistics(sensor):
            preprocessor.set_statistics(sensor, values['mean'], values['std'])
            taken.append(sensor)
    return taken


def hand_on_statistics(model: nn.Module) -> None:
    """Tell the layers that undo the normalisation what it is, where their config does not."""
    preprocessor: Any = getattr(model, 'data_preprocessor', None)
    for layer in model.modules():
        if not isinstance(layer, GreennessWeights) or layer.configured:
            continue
        held = statistics_in_use(preprocessor).get(layer.sensor)
        if held is not None:
            layer.set_statistics(held['mean'], held['std'])


def measure_statistics(preprocessor: Any, dataset: Any) -> list[str]:
    """Give a data preprocessor the statistics that are still missing, measured on samples of the training dataset.

    The same samples in every process and run. A band that does not change keeps its unit (standard deviation 1).

    Args:
        preprocessor: A `SeriesDataPreprocessor`; anything else is left alone.
        dataset: The training dataset; one without `bands` in its metainfo, or whose samples bring statistics of their
            own, is left alone.

    Returns:
        Sensors whose statistics were set.

    Raises:
        ConfigError: If a sensor has no valid value in these samples.
    """
    held = (getattr(dataset, 'metainfo', None) or {}).get('bands') or {}
    if not hasattr(preprocessor, 'set_statistics') or getattr(dataset, 'statistics_in_sample', False):
        return []
    missing = [sensor for sensor in preprocessor.sensors if sensor in held and not preprocessor.has_statistics(sensor)]
    if not missing:
        return []
    from mmsits.datasets.data_card import describe_dataset

    card = describe_dataset(dataset, MEASURED_SAMPLES)
    for sensor in missing:
        mean, std = np.array(card.sensors[sensor].mean), np.array(card.sensors[sensor].std)
        if not np.isfinite(mean).all():
            raise ConfigError(
                f'sensor {sensor!r} has no valid value in {card.described} training samples, so its normalisation '
                "cannot be measured: leave it out of the dataset's sensors, or check its masks"
            )
        preprocessor.set_statistics(sensor, mean.tolist(), np.where(std > 0, std, 1.0).tolist())
    return missing
