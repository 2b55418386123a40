"""`SceneDataset`: one folder of rasters and labels, three kinds of samples, chosen by one key of a config."""

from __future__ import annotations

import inspect
from typing import Any

from mmseg.registry import DATASETS

from mmsits.datasets.base import SeriesDataset

from .parcels import SceneParcels, ScenePixels
from .windows import SceneWindows

SAMPLES: dict[str, type[SeriesDataset]] = {'windows': SceneWindows, 'parcels': SceneParcels, 'pixels': ScenePixels}
"""Kinds of samples and the dataset that makes them."""


@DATASETS.register_module()
def SceneDataset(samples: str = 'windows', **options: Any) -> SeriesDataset:
    """A dataset of a scene: rasters of one or several sensors, and labels.

    Options that concern another kind of samples only (such as `window_size`, with parcels) have no effect, so that a
    config goes from one kind to another by this one key.

    Args:
        samples: 'windows' (dense maps, :class:`SceneWindows`), 'parcels' (pixel sets with one label) or 'pixels'
            (single series).
        **options: of these datasets.

    Returns:
        The dataset.

    Raises:
        DataError: if something is wrong with the data.
        ValueError: if the kind or an option is unknown.
    """
    if samples not in SAMPLES:
        raise ValueError(f'samples must be one of {list(SAMPLES)}, got {samples!r}')
    known = scene_options()
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f'SceneDataset: no option {unknown}; there are {known}')
    own = options_of(SAMPLES[samples])
    return SAMPLES[samples](**{name: value for name, value in options.items() if name in own})


def scene_options() -> list[str]:
    """Names of the options of all kinds of samples."""
    return list(dict.fromkeys(name for kind in SAMPLES.values() for name in options_of(kind)))


def options_of(dataset: type) -> list[str]:
    """Names of the arguments that a dataset and those above it take."""
    constructors = [vars(kind)['__init__'] for kind in inspect.getmro(dataset) if '__init__' in vars(kind)]
    names = [name for constructor in constructors for name in inspect.signature(constructor).parameters]
    return [name for name in dict.fromkeys(names) if name not in ('self', 'args', 'kwargs')]


# What looks at a config (data_root is handed on, a misspelt option corrected) asks which options there are.
SceneDataset.__signature__ = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ('samples', *scene_options())]
)
