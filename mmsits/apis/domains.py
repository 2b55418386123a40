"""Domains without labels for a trained network: opened as it wants them, in batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

from mmsits.datasets import identity_collate
from mmsits.datasets.inspection import build_dataset
from mmsits.datasets.parcel_dataset import ParcelSeriesDataset
from mmsits.datasets.series_table import SeriesTableDataset
from mmsits.datasets.timematch import TimeMatchDataset
from mmsits.engine.checkpoint import load_strictly
from mmsits.engine.config import load_config
from mmsits.engine.ensemble import load_ensemble, segmentor_weights
from mmsits.engine.errors import CheckpointError, ConfigError
from mmsits.engine.hooks.checkpoint_contract_hook import compare_metainfo, compare_weights
from mmsits.models.segmentors import TemporalEncoderDecoder


class TrainedNetwork(NamedTuple):
    """A segmentor with its weights.

    Attributes:
        segmentor: in evaluation mode, on its device.
        cfg: the config it was built from.
        meta: what its checkpoint knows of the data it was trained on (classes, bands, units, season_start); may be
            empty.
        shift: days that it wants added to what it predicts.
    """

    segmentor: TemporalEncoderDecoder
    cfg: Config
    meta: dict[str, Any]
    shift: int

    @property
    def device(self) -> torch.device:
        """Where the segmentor runs."""
        return next(self.segmentor.parameters()).device


def load_network(
    config: str | Path | Config, checkpoint: str | Path, device: str | torch.device = 'cpu'
) -> TrainedNetwork:
    """Build the segmentor of a config and load its weights, whether it stands alone or within a `DomainAdaptor`.

    Config and checkpoint need not agree in that: of an adaptor's checkpoint, the part that predicts is taken.

    Args:
        config: of a segmentor or an adaptor.
        checkpoint: of either.
        device: where the segmentor runs.

    Returns:
        The network.

    Raises:
        ConfigError: if the config does not exist or is at fault.
        CheckpointError: if the file cannot be read as data, or holds another network's weights; likewise of the further
            checkpoints that `test_cfg.test_time` names.
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    adaptor = cfg.model if 'segmentor' in cfg.model else {}
    segmentor = MODELS.build(adaptor.get('segmentor', cfg.model))
    if not isinstance(segmentor, TemporalEncoderDecoder):
        raise ConfigError(f'the model of the config is a {type(segmentor).__name__}, TemporalEncoderDecoder is needed')
    content = load_strictly(str(checkpoint), map_location='cpu')
    state = content.get('state_dict', content)
    weights = segmentor_weights(state, adaptor.get('predict_with', 'student'))
    mismatch = compare_weights(segmentor.state_dict(), weights)
    if mismatch:
        raise CheckpointError(f'{checkpoint}: {mismatch}')
    segmentor.load_state_dict(weights, strict=False)
    meta = dict(content.get('meta', {}).get('dataset_meta') or {})
    load_ensemble(segmentor, {"first checkpoint's": meta}, adaptor.get('predict_with', 'student'))
    shift = state.get('method.target_shift') if adaptor.get('shift_when_predicting') else None
    return TrainedNetwork(
        segmentor.to(device).eval(),
        cfg,
        meta,
        0 if shift is None else int(shift),
    )


def open_domains(
    network: TrainedNetwork,
    domains: Sequence[str] = (),
    split: str | None = None,
    num_pixels: int | None = None,
) -> dict[str, Any]:
    """Open the domains that a network is applied to, without labels.

    What is opened is the test dataset of the network's config. Of `TimeMatchDataset`, any domain of its folder can be
    asked for; neither the source's folder nor a class table of the country is needed where the checkpoint knows its
    classes and no split is asked for.

    Args:
        network: from `load_network`.
        domains: short names or country/tile/year; none for the one of the config.
        split: 'train', 'val', 'test', None for all parcels. Other datasets are as the config has them.
        num_pixels: so many pixels are drawn of each parcel; None for all.

    Returns:
        Name to dataset.

    Raises:
        ConfigError: if domains are asked for that the config's dataset does not have.
        CheckpointError: if bands, units or classes are not those that the network was trained on.
        DataError: if a domain is missing or damaged.
    """
    config, cls = _test_dataset(network)
    if issubclass(cls, ParcelSeriesDataset):
        config['with_labels'] = False
        if num_pixels is not None:
            config['pipeline'] = [dict(type='SamplePixels', num_pixels=num_pixels), *config.get('pipeline', ())]
    if issubclass(cls, TimeMatchDataset):
        held = config['target'] if config.get('role') == 'target' else config.get('source', 'DK1')
        configs = {name: _domain_config(config, name, split, network) for name in domains or (str(held),)}
    elif domains:
        raise ConfigError(f'{cls.__name__} has no domains to choose from: leave --domains away')
    else:
        configs = {Path(str(config.get('table') or config.get('data_root') or cls.__name__)).name: config}
    return {name: _open(network, name, dataset) for name, dataset in configs.items()}


def open_table(network: TrainedNetwork, path: str | Path) -> SeriesTableDataset:
    """Open a table of series that a network is applied to, all of it and without labels.

    It is read as the config's test dataset reads its own (names of columns, missing values), with the bands, by name
    where the table names them, and the classes of the training data; whether it holds labels, classes or further
    columns makes no difference.

    Args:
        network: from `load_network`; its config's test dataset is a `SeriesTableDataset`.
        path: .npz, .csv or .parquet.

    Returns:
        The dataset; samples stand in the order of the table.

    Raises:
        ConfigError: if the config has another kind of dataset.
        CheckpointError: if units or season are not those that the network was trained on.
        DataError: if the table is missing or damaged, or lacks a band.
    """
    config, cls = _test_dataset(network)
    if not issubclass(cls, SeriesTableDataset):
        raise ConfigError(f'tables are read by SeriesTableDataset, the test dataset of the config is a {cls.__name__}')
    path = Path(path)
    sensor = config.get('sensor', 's2')
    config.update(
        data_root=str(path.parent),
        table=path.name,
        where=None,
        with_labels=False,
        bands=(network.meta.get('bands') or {}).get(sensor, config.get('bands')),
        classes=network.meta.get('classes') or config.get('classes'),
        columns={**(config.get('columns') or {}), 'label': None, 'series_label': None, 'classes': None},
    )
    return _open(network, path.name, config)


def _test_dataset(network: TrainedNetwork) -> tuple[dict[str, Any], type]:
    """The config of the test dataset and its class."""
    loader = network.cfg.get('test_dataloader') or {}
    if 'dataset' not in loader:
        raise ConfigError('the config has no test_dataloader with a dataset, from which the data are taken')
    config = copy.deepcopy(dict(loader['dataset']))
    cls = DATASETS.get(config['type']) if isinstance(config['type'], str) else config['type']
    if cls is None:
        raise ConfigError(f'there is no dataset {config["type"]!r}')
    return config, cls


def _domain_config(config: dict[str, Any], domain: str, split: str | None, network: TrainedNetwork) -> dict[str, Any]:
    source = config.get('source', 'DK1')
    classes = network.meta.get('classes') or config.get('classes')
    own: dict[str, Any] = dict(split=split, classes=None if classes is None else list(classes))
    if classes is not None and split is None:
        # Only the random split and the choice of classes look at another domain.
        own |= dict(source=domain, target=None, role='source')
    elif domain == source:
        own |= dict(role='source')
    else:
        own |= dict(role='target', target=domain)
    return {**config, **own}


def _open(network: TrainedNetwork, name: str, config: dict[str, Any]) -> Any:
    dataset = build_dataset(config)
    dataset.full_init()
    classes = dataset.metainfo.get('classes') or ()
    if len(classes) != network.segmentor.out_channels:
        raise ConfigError(
            f'{name}: the config has {len(classes)} classes ({", ".join(map(str, classes))}), the network tells '
            f'{network.segmentor.out_channels} apart; set classes in the dataset of test_dataloader'
        )
    mismatch = compare_metainfo(network.meta, dataset.metainfo, name)
    if mismatch:
        raise CheckpointError(mismatch)
    return dataset


def unlabelled_batches(
    network: TrainedNetwork, dataset: Any, batches: Sequence[Sequence[int]], num_workers: int = 0
) -> Iterator[dict[str, Any]]:
    """Read, and preprocess on the network's device.

    Args:
        network: from `load_network`.
        dataset: from `open_domains`.
        batches: positions of the samples of each batch.
        num_workers: processes that read; 0 reads in this one.

    Yields:
        `inputs` and `metas`; labels are taken out.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=[list(batch) for batch in batches],
        collate_fn=identity_collate,
        num_workers=num_workers,
    )
    for batch in loader:
        batch.pop('targets', None)
        yield network.segmentor.data_preprocessor(batch, False)
