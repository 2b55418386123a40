"""Is a scene what a network was trained on? A look at some of its pixels before all of them are mapped."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmsits.apis.domains import TrainedNetwork
from mmsits.apis.scene_inputs import Sample, SceneReader
from mmsits.datasets.data_card import DataCard, describe_dataset
from mmsits.datasets.scene.grid import Window
from mmsits.engine.hooks.dataset_contract_hook import statistics_in_use


class ScenePreview:
    """Small windows spread over a scene, as a dataset.

    Args:
        reader: windows of the scene.
        windows: so many along each side.
        size: height and width of a window in pixels.
    """

    def __init__(self, reader: SceneReader, windows: int = 4, size: int = 32) -> None:
        self._reader = reader
        grid = reader.scene.grid
        rows, columns = (np.linspace(0, max(length - size, 0), windows).astype(int) for length in grid.shape)
        self._windows = [
            Window(row, column, min(size, grid.height), min(size, grid.width))
            for row in np.unique(rows).tolist()
            for column in np.unique(columns).tolist()
        ]
        self.metainfo: dict[str, Any] = dict(bands=reader.bands, units=reader.units)

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Sample:
        return self._reader.sample(self._reader.read(self._windows[index]), f'window {self._windows[index]}')


def check_values(reader: SceneReader, network: TrainedNetwork) -> DataCard:
    """Look at some windows of a scene and refuse values that the network's normalisation cannot be meant for.

    Args:
        reader: windows of the scene.
        network: from `load_network`.

    Returns:
        What the windows hold.

    Raises:
        DataError: names the bands whose values are far from those that the network was trained on: another unit.
    """
    card = describe_dataset(ScenePreview(reader), max_samples=None)
    known = {
        name: s for name, s in statistics_in_use(network.segmentor.data_preprocessor).items() if name in reader.bands
    }
    seen = {name: s for name, s in known.items() if np.isfinite(card.sensors[name].quantile(0.5)).all()}
    card.check_statistics(seen)
    return card
