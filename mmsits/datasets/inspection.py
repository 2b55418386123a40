"""Go through datasets of a config: every sample read and checked, whatever its pipeline would have cut away."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmseg.registry import DATASETS

SPLITS = ('train', 'val', 'test')


class BadSample(NamedTuple):
    """A sample that cannot be used.

    Attributes:
        split: 'train', 'val' or 'test'.
        position: number in the dataset; -1 where the dataset itself cannot be opened.
        sample_id: name of the sample.
        error: class of the error.
        message: what is wrong, where, and what to do.
    """

    split: str
    position: int
    sample_id: str
    error: str
    message: str


def dataset_configs(cfg: Mapping[str, Any], splits: Sequence[str] = SPLITS) -> dict[str, dict]:
    """Dataset configs of a config's data loaders.

    Args:
        cfg: config whose root and fold are handed on (``mmsits.engine.load_config``).
        splits: which loaders.

    Returns:
        Split to dataset config, for the loaders that the config has; where a loader joins domains, 'train, source' and
        so on for each.

    Raises:
        ValueError: if it has none of them.
    """
    loaders = {split: cfg.get(f'{split}_dataloader') for split in splits}
    found = {split: copy.deepcopy(loader['dataset']) for split, loader in loaders.items() if loader}
    if not found:
        raise ValueError(f'the config has no data loader for {", ".join(splits)}')
    return {name: config for split, config in found.items() for name, config in _domains(split, config).items()}


def _domains(split: str, config: dict) -> dict[str, dict]:
    """The datasets that a dataset config joins, by name; itself where it joins none."""
    if 'domains' not in config:
        return {split: config}
    parts = {}
    for name, domain in config['domains'].items():
        dataset = dict(domain['dataset'])
        dataset.setdefault('pipeline', next(iter((domain.get('views') or {'': ()}).values())))
        parts[f'{split}, {name}'] = dataset
    return parts


def build_dataset(cfg: Mapping[str, Any], augment: bool = True) -> Any:
    """Build a dataset; without augmentation only what loads and packs stays of its pipeline.

    Args:
        cfg: dataset config.
        augment: keep the whole pipeline.

    Returns:
        The dataset.
    """
    config = copy.deepcopy(dict(cfg))
    for part in [] if augment else (config, *config.get('datasets', ())):
        if 'pipeline' in part:
            part['pipeline'] = [step for step in part['pipeline'] if _is_loading(step)]
    # A config of `_base_/datasets` alone names no default scope, and its transforms are mmseg's.
    config.setdefault('_scope_', 'mmseg')
    return DATASETS.build(config)


def _is_loading(step: Any) -> bool:
    name = step['type'] if isinstance(step, Mapping) else type(step).__name__
    name = name if isinstance(name, str) else name.__name__
    return name.startswith(('Load', 'Pack'))


def check_samples(dataset: Any, split: str = 'train') -> Iterator[BadSample | None]:
    """Read every sample of a dataset.

    Args:
        dataset: its pipeline should only load and pack, so that nothing is cut away (:func:`build_dataset`).
        split: named in the result; an unlabelled training sample is bad.

    Yields:
        For each sample in turn None, or what is wrong with it.
    """
    for index in range(len(dataset)):
        name = str(index)
        try:
            name = str(dataset.get_data_info(index).get('sample_id', index))
            problem = _problem(dataset[index], split)
        except Exception as error:  # Whatever a sample raises is a finding, and the next one is wanted too.
            yield BadSample(split, index, name, type(error).__name__, str(error))
            continue
        yield None if problem is None else BadSample(split, index, name, 'Unusable', problem)


def _problem(sample: Mapping[str, Any], split: str) -> str | None:
    if not any(np.asarray(series.valid).any() for series in sample['inputs'].values()):
        return 'no valid observation on any date of any sensor; leave the sample out'
    if split == 'train' and 'targets' not in sample:
        return 'no labels in a training sample; leave the sample out, or complete the labels'
    return None
