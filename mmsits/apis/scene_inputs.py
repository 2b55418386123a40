"""A scene as a trained network takes it: the bands, units, dates and transforms that it was trained with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmseg.registry import DATASETS, TRANSFORMS

from mmsits.apis.domains import TrainedNetwork
from mmsits.datasets.base import resolve_season_start
from mmsits.datasets.collate import CollatedBatch
from mmsits.datasets.errors import iso_day
from mmsits.datasets.parcel_batch import ParcelBatch, transformed
from mmsits.datasets.parcel_store import HeldParcels
from mmsits.datasets.scene.grid import Window
from mmsits.datasets.transforms import (
    AddSpectralIndices,
    CompositeDates,
    CropDays,
    HandleMissingValues,
    InterpolateDates,
    PackSeriesInputs,
    SamplePixels,
    SpatialTransform,
)
from mmsits.datasets.transforms.formatting import check_finite
from mmsits.engine.config import constructor_arguments
from mmsits.engine.errors import CheckpointError, ConfigError
from mmsits.engine.hooks.checkpoint_contract_hook import compare_metainfo
from mmsits.models.adaptation.views import shift_days
from mmsits.structures import ImageSeries

Sample = dict[str, Any]
_OF_EACH_PIXEL = (
    AddSpectralIndices,
    CompositeDates,
    CropDays,
    HandleMissingValues,
    InterpolateDates,
    PackSeriesInputs,
)
"""Transforms that make the same of a pixel whichever others are in its sample."""
_LONGEST_SEASON = 500
"""Days between the start of a season and the middle of its dates beyond which the dates belong to another one. Of a
series over several years, which is longer, its length."""


class SceneReader:
    """Windows of a scene, as samples for a network.

    Args:
        scene: `mmsits.datasets.scene.Scene`, or what has its `grid`, `sensors_info`, `days` and `read`.
        network: from `load_network`.
        meta: what is known of the data that the network was trained on, from `training_meta`.

    Attributes:
        season_start: day from which the network counts, days since 1970-01-01.
        bands: sensor to the names of the bands that the network is given.
        units: sensor to their unit.

    Raises:
        CheckpointError: if sensors, bands or units are not those that the network was trained on, or the dates are
            from another season than it knows.
    """

    def __init__(self, scene: Any, network: TrainedNetwork, meta: Mapping[str, Any]) -> None:
        self.scene = scene
        self._sensors = series_sensors(network)
        self._transforms = prediction_transforms(network.cfg)
        _refuse_missing_sensors(self._sensors, scene.sensors_info)
        self._infos = {
            sensor: _chosen_bands(sensor, scene.sensors_info[sensor], wanted_bands(network.cfg, meta, sensor), meta)
            for sensor in self._sensors
        }
        self.bands, self.units = self._outputs()
        self._compare(meta)
        self.season_start = _season_start(scene.days, self._sensors, network, meta)

    def _outputs(self) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """Bands and units behind the transforms."""
        infos: dict[str, dict[str, Any]] = self._infos
        for transform in self._transforms:
            if hasattr(transform, 'changed_sensors_info'):
                infos = transform.changed_sensors_info(infos)
        return {name: info['bands'] for name, info in infos.items()}, {n: info['unit'] for n, info in infos.items()}

    def _compare(self, meta: Mapping[str, Any]) -> None:
        known, used = {}, {}
        for name, own in (('bands', self.bands), ('units', self.units)):
            known[name] = {sensor: value for sensor, value in (meta.get(name) or {}).items() if sensor in own}
            used[name] = {sensor: own[sensor] for sensor in known[name]}
        if mismatch := compare_metainfo(known, used, 'scene'):
            raise CheckpointError(
                f'{mismatch} If bands or numbers are the same under another name, say so (--sensor-options '
                'SENSOR.unit=…); if not, convert them (SENSOR.scale=…).'
            )

    def read(self, window: Window) -> dict[str, ImageSeries]:
        """Read all series of a window, in the bands that the network takes.

        Args:
            window: within the scene.

        Returns:
            sensor to values (T,C,h,w) of the files' type, days (T,), valid (T,h,w); arrays.
        """
        bands = {sensor: info['bands'] for sensor, info in self._infos.items()}
        return self.scene.read(window, bands=bands, sensors=self._sensors)

    def sample(self, series: Mapping[str, ImageSeries], name: str) -> Sample:
        """Transform and pack series that were read.

        Args:
            series: sensor to arrays of any height and width.
            name: for errors.

        Returns:
            What the end of a dataset's pipeline gives.
        """
        height, width = next(iter(series.values())).values.shape[-2:]
        results: Any = dict(
            inputs=dict(series),
            sample_id=name,
            season_start=self.season_start,
            img_shape=(height, width),
            sensors_info=self._infos,
            date_index={sensor: np.arange(len(part.days)) for sensor, part in series.items()},
            ignored_labels=(),
            static_sensors=(),
            paths={},
            # The same in every window: where a transform chooses at random, neighbours must not differ.
            rng=np.random.default_rng(0),
        )
        for transform in self._transforms:
            results = transform(results)
        return results

    def pixel_batch(self, series: Mapping[str, ImageSeries], numbers: np.ndarray, name: str) -> Any:
        """Transform and pack pixels, each as a sample of its own, as datasets of pixels do.

        Args:
            series: sensor to arrays, values (T,C,P,1) and valid (T,P,1).
            numbers: (P,) of each pixel in the scene: random choices depend on it alone.
            name: for errors.

        Returns:
            A batch as a data loader gives it: values (P,T,C,1,1).
        """
        count = len(numbers)
        for sensor, part in series.items():
            if part.values.dtype.kind == 'f':
                about = dict(inputs=dict(series), sample_id=name, sensors_info=self._infos)
                check_finite(part.values, about, sensor)
        stores = {sensor: _held(part, name) for sensor, part in series.items()}
        batch = ParcelBatch(
            stores=stores,
            bands={sensor: range(store.bands) for sensor, store in stores.items()},
            parcels=np.arange(count),
            draws=[(0, number) for number in numbers.tolist()],
            targets=None,
            season_starts=np.full(count, self.season_start, np.int64),
            static={},
            sample_ids=[name] * count,
            infos=dict(sensors_info=self._infos, ignored_labels=()),
        )
        found = transformed(batch, self._transforms)
        return found if isinstance(found, CollatedBatch) else pseudo_collate(found)


def _held(series: ImageSeries, name: str) -> HeldParcels:
    """A column of pixels, values (T,C,P,1), as P parcels of one pixel."""
    count = series.values.shape[2]
    return HeldParcels(
        series.values[..., 0].transpose(2, 0, 1)[:, :, None],
        np.broadcast_to(series.days, (count, len(series.days))),
        np.ascontiguousarray(series.valid[..., 0].T)[:, :, None],
        np.ones(count, np.int64),
        [name] * count,
    )


def series_sensors(network: TrainedNetwork) -> list[str]:
    """The sensors that a network takes from a scene: all but the geometry of parcels."""
    geometry = getattr(network.segmentor.backbone, 'geometry_sensor', None)
    return [sensor for sensor in network.segmentor.data_preprocessor.sensors if sensor != geometry]


def _refuse_missing_sensors(sensors: Sequence[str], held: Mapping[str, Any]) -> None:
    missing = [sensor for sensor in sensors if sensor not in held]
    if missing:
        raise CheckpointError(
            f'the network takes the sensors {", ".join(sensors)}; the scene has {", ".join(held) or "none"}: give the '
            f'folder of {", ".join(missing)}, too (--sensor {missing[0]}=FOLDER)'
        )


def wanted_bands(cfg: Config, meta: Mapping[str, Any], sensor: str) -> Sequence[str] | None:
    """The bands of a sensor to read for a network.

    Args:
        cfg: of the network.
        meta: what is known of its training data.
        sensor: name.

    Returns:
        The bands of the checkpoint, unless transforms make these from others: then those that the config's dataset
        reads. None if neither says.
    """
    if any(hasattr(transform, 'changed_sensors_info') for transform in prediction_transforms(cfg)):
        return _configured_bands(cfg, sensor)
    return (meta.get('bands') or {}).get(sensor)


def _chosen_bands(
    sensor: str, held: Mapping[str, Any], wanted: Sequence[str] | None, meta: Mapping[str, Any]
) -> dict[str, Any]:
    """What is read of a sensor: bands, and their unit."""
    here = tuple(held['bands'])
    # Beside what transforms add, the bands that the checkpoint knows are those of files.
    known = [band for band in (meta.get('bands') or {}).get(sensor, ()) if band in here]
    chosen = tuple(wanted or known or here)
    if lacking := [band for band in chosen if band not in here]:
        raise CheckpointError(
            f'sensor {sensor!r}: the network was trained on the bands {", ".join(chosen)}; of these the scene lacks '
            f'{", ".join(lacking)}, it has {", ".join(here)}. If they are the same under other names, name them '
            f'(--sensor-options {sensor}.band_names={",".join(chosen)})'
        )
    return dict(bands=chosen, file_bands=here, unit=held['unit'])


def _configured_bands(cfg: Config, sensor: str) -> Sequence[str] | None:
    """Bands that the dataset of a config reads, None where it does not say."""
    dataset = dataset_config(cfg)
    own = (dataset.get('bands') or {}) if isinstance(dataset.get('bands'), Mapping) else {}
    sensors = dataset.get('sensors')
    described = (sensors.get(sensor) or {}) if isinstance(sensors, Mapping) else {}
    return own.get(sensor) or described.get('bands')


def _season_start(days: Any, sensors: Sequence[str], network: TrainedNetwork, meta: Mapping[str, Any]) -> int:
    """Day from which the network counts, after a look at whether the scene is of that season."""
    # As datasets do, by the first sensor of theirs.
    found = np.asarray(days[next((name for name in meta.get('bands') or {} if name in sensors), sensors[0])])
    fixed = network.segmentor.data_preprocessor.reference_day
    start = resolve_season_start(meta['season_start'], found) if fixed is None else fixed
    distance = int(np.median(found)) - start
    longest = max(_LONGEST_SEASON, int(found[-1] - found[0]))
    if not -longest <= distance <= longest:
        raise CheckpointError(
            f'the network counts days from {iso_day(start)}, the scene has dates from {iso_day(found[0])} to '
            f'{iso_day(found[-1])}: these are other days than it was trained with. Say when the season of the scene '
            'starts (--season-start YYYY-MM-DD)'
        )
    return start


def prediction_transforms(cfg: Config) -> list[Any]:
    """What stands in the pipeline of a config's test data between reading and packing, and the packing.

    What reads files or labels, crops, flips, or draws pixels is left out: windows are read as they are wanted.

    Args:
        cfg: of a network.
    """
    steps = [TRANSFORMS.build(dict(step)) for step in dataset_config(cfg).get('pipeline', ()) if not _is_loading(step)]
    kept = [step for step in steps if not isinstance(step, SpatialTransform | SamplePixels | PackSeriesInputs)]
    return [*kept, PackSeriesInputs()]


def joins_pixels(cfg: Config) -> bool:
    """Whether transforms of a config's test data look at the pixels of a sample together, to choose dates for example.

    Args:
        cfg: of a network.
    """
    return not all(type(transform) in _OF_EACH_PIXEL for transform in prediction_transforms(cfg))


def _is_loading(step: Mapping[str, Any]) -> bool:
    name = step['type'] if isinstance(step['type'], str) else step['type'].__name__
    return name.rpartition('.')[2].startswith('Load')


def dataset_config(cfg: Config) -> Mapping[str, Any]:
    """The dataset of a config that a map is most like: that of the test, else validation, else training data."""
    for split in ('test', 'val', 'train'):
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        while dataset and 'dataset' in dataset and 'pipeline' not in dataset:
            dataset = dataset['dataset']
        if dataset and 'type' in dataset and 'domains' not in dataset:
            return dataset
    return {}


def training_meta(network: TrainedNetwork, checkpoint: str) -> dict[str, Any]:
    """What is known of the data that a network was trained on.

    Args:
        network: from `load_network`.
        checkpoint: its file, for messages.

    Returns:
        classes, palette, bands, units, season_start: from the checkpoint; of one without these (published weights),
        from the dataset of the config.

    Raises:
        CheckpointError: if neither knows classes and season start, or the normalisation is missing.
    """
    meta = dict(network.meta)
    if not meta.get('classes'):
        print_log(
            f'{checkpoint} does not say what data it was trained on (no meta.dataset_meta): classes, bands, units and '
            'season start are taken from the config, and nothing holds them against the weights.',
            'current',
            logging.WARNING,
        )
        meta = _meta_of_config(network.cfg) | meta
    lacking = [name for name in ('classes', 'season_start') if not meta.get(name)]
    if lacking:
        raise CheckpointError(
            f'{checkpoint} does not say with which {" and ".join(lacking)} it was trained, nor does the dataset in the '
            'config: take a checkpoint that tools/train.py wrote, or name them in the config (classes=[…], '
            "season_start='MM-DD' of test_dataloader.dataset)"
        )
    preprocessor = network.segmentor.data_preprocessor
    unknown = [sensor for sensor in preprocessor.sensors if not preprocessor.has_statistics(sensor)]
    if unknown:
        raise CheckpointError(
            f'{checkpoint} holds no mean and standard deviation for {", ".join(unknown)}: give them in the config '
            '(model.data_preprocessor.statistics)'
        )
    meta['classes'] = _as_many_as(network.segmentor.num_classes, meta['classes'])
    return meta


def _as_many_as(count: int, classes: Sequence[str]) -> tuple[str, ...]:
    """Names for all outputs of the head, which may tell more classes apart than the dataset has."""
    if len(classes) > count:
        raise CheckpointError(
            f'the network tells {count} classes apart, its training data had {len(classes)} ({", ".join(classes)})'
        )
    return (*classes, *(f'class {number}' for number in range(len(classes), count)))


def _meta_of_config(cfg: Config) -> dict[str, Any]:
    dataset = dict(dataset_config(cfg))
    if not dataset:
        return {}
    cls = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    meta = dict(getattr(cls, 'METAINFO', {})) | dict(dataset.get('metainfo') or {})
    if dataset.get('classes'):
        meta['classes'] = tuple(dataset['classes'])
    meta.setdefault('season_start', dataset.get('season_start', '01-01' if _counts_seasons(cls) else None))
    held = getattr(cls, 'SENSORS', {})
    meta['bands'] = {sensor: info.bands for sensor, info in held.items()} | dict(dataset.get('bands') or {})
    meta['units'] = {sensor: info.unit for sensor, info in held.items()}
    return meta


def _counts_seasons(cls: Any) -> bool:
    # `SeriesDataset` starts the season on 1 January unless told otherwise.
    return 'season_start' in constructor_arguments(cls)


class NetworkRunner:
    """Class probabilities of samples.

    Args:
        network: from `load_network`.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        self.network = network
        segmentor = network.segmentor
        self.classes = segmentor.num_classes
        if segmentor.out_channels == 1 and self.classes != 2:
            raise ConfigError(f'a head with one output tells two classes apart, this one has {self.classes}')

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.network.device

    def __call__(self, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict a batch.

        Args:
            samples: from `SceneReader.sample`.

        Returns:
            Probabilities (N,K,H,W) float32 on the network's device, and (N,H,W) bool, what was observed at all.
        """
        return self._predict(pseudo_collate(list(samples)))

    def predict(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict a batch of a data loader; results as of a call.

        Args:
            batch: `inputs` and `metas`, as `SeriesDataPreprocessor` takes them.
        """
        return self._predict(batch)

    def predict_column(self, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict P pixels as a map of P×1.

        Args:
            sample: values (T,C,P,1).

        Returns:
            Probabilities (P,K) and bool (P,).
        """
        probabilities, observed = self([sample])
        return probabilities[0, :, :, 0].T, observed[0, :, 0]

    def predict_batch(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict P pixels, each a sample; results as of `predict_column`.

        Args:
            batch: from `SceneReader.pixel_batch`.
        """
        probabilities, observed = self._predict(batch)
        return probabilities[..., 0, 0], observed[:, 0, 0]

    def predict_apart(self, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict P pixels as P maps of 1×1; arguments and results as of `predict_column`."""
        inputs = {}
        for sensor, (values, days, valid) in sample['inputs'].items():
            count = values.shape[2]
            inputs[sensor] = ImageSeries(
                values.permute(2, 0, 1, 3)[..., None],
                days.expand(count, -1),
                valid.permute(1, 0, 2)[..., None],
            )
        probabilities, observed = self._predict(dict(inputs=inputs, metas=[sample['metas']] * count))
        return probabilities[..., 0, 0], observed[:, 0, 0]

    def _predict(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        segmentor = self.network.segmentor
        data = segmentor.data_preprocessor(batch, False)
        return self._answer(data['inputs'], data['metas'])

    def _answer(self, inputs: dict[str, ImageSeries], metas: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (N,K,H,W) and what was observed (N,H,W), of normalised series."""
        segmentor = self.network.segmentor
        answer = segmentor.predict(shift_days(inputs, self.network.shift), None, metas)[0]
        logits = answer['logits'].float()
        if logits.shape[1] > 1:
            return logits.softmax(1), answer['observed']
        foreground = logits.sigmoid()
        return torch.cat([1 - foreground, foreground], 1), answer['observed']

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The class of each pixel, as the segmentor itself decides.

        Args:
            probabilities: (K,h,w).

        Returns:
            (h,w) uint8.
        """
        if self.network.segmentor.out_channels > 1:
            return probabilities.argmax(0).astype(np.uint8)
        threshold = self.network.segmentor.decode_head.threshold
        return (probabilities[1] > (0.3 if threshold is None else threshold)).astype(np.uint8)


def observed_pixels(series: Mapping[str, ImageSeries]) -> np.ndarray:
    """Which pixels any sensor saw on any date, (h,w) bool."""
    return np.any([part.valid.any(axis=0) for part in series.values()], axis=0)


def gather_pixels(series: Mapping[str, ImageSeries], rows: np.ndarray, columns: np.ndarray) -> dict[str, ImageSeries]:
    """Chosen pixels of a window as a column of pixels.

    Args:
        series: values (T,C,h,w), valid (T,h,w).
        rows: (P,) rows in the window.
        columns: (P,) columns.

    Returns:
        values (T,C,P,1), valid (T,P,1).
    """
    return {
        sensor: ImageSeries(
            part.values[:, :, rows, columns][..., None], part.days, part.valid[:, rows, columns][..., None]
        )
        for sensor, part in series.items()
    }
