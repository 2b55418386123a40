"""Batching of several named views at once, each an ordinary batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseDataPreprocessor
from torch import Tensor


class NamedViewsDataPreprocessor(BaseDataPreprocessor):
    """Runs a segmentor's data preprocessor on each view of `{'source': batch, 'target_weak': batch, …}`.

    An ordinary batch, one with `inputs`, goes through it as it is: validation and test have no views. Everything that
    hooks ask of a data preprocessor (sensors, statistics) is asked of the segmentor's.

    Args:
        inner: the segmentor's data preprocessor. Not a submodule here, so that a checkpoint holds it once.
    """

    def __init__(self, inner: BaseDataPreprocessor) -> None:
        super().__init__()
        self._inner = (inner,)

    @property
    def inner(self) -> Any:
        """The segmentor's data preprocessor."""
        return self._inner[0]

    @property
    def sensors(self) -> dict[str, int]:
        """Number of bands per sensor."""
        return getattr(self.inner, 'sensors', {})

    def has_statistics(self, sensor: str) -> bool:
        """See `SeriesDataPreprocessor.has_statistics`."""
        return self.inner.has_statistics(sensor)

    def set_statistics(self, sensor: str, mean: Sequence[float], std: Sequence[float]) -> None:
        """See `SeriesDataPreprocessor.set_statistics`."""
        self.inner.set_statistics(sensor, mean, std)

    def get_buffer(self, target: str) -> Tensor:
        """A buffer of the segmentor's data preprocessor, such as 'mean_s2'."""
        return self.inner.get_buffer(target)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make a batch of each view.

        Args:
            data: view -> batch as the loader gives it, or one such batch.
            training: see `SeriesDataPreprocessor`.

        Returns:
            view -> batch, or one batch.
        """
        if 'inputs' in data:
            return self.inner(data, training)
        return {name: self.inner(batch, training) for name, batch in data.items()}
