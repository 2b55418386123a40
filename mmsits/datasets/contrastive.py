"""Two views of every sample, for methods that learn from what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import DATASETS

from .collate import CollatedBatch, identity_collate
from .domain import derived_seeds, open_dataset, with_pipeline
from .merged import without_labels
from .parcel_batch import ParcelBatch
from .parcel_dataset import ParcelSeriesDataset
from .samplers import DrawIndex
from .transforms.radiometric import DisturbDates


@DATASETS.register_module()
class ContrastiveViews:
    """A sample is a dict of two views of one sample of a dataset, `{'query': …, 'key': …}`: the same pipeline, each
    time with random numbers of its own. Labels are left out.

    The data loader needs `collate_fn=dict(type='identity_collate')`.

    Args:
        dataset: the dataset, or its config.
        pipeline: of the views; None takes that of the dataset.
        shared_noise: let the key view begin with the noise that `DisturbDates` gave the query view, unless `RollDates`
            touched that one, as the published code does by working in place. For datasets of parcels and pixels.
        seed: seed for samples that are asked for by a plain index.

    Attributes:
        metainfo: that of the dataset.
        statistics: those of the dataset.

    Raises:
        ValueError: if noise is to be shared that is not there.
    """

    VIEWS = ('query', 'key')

    def __init__(
        self,
        dataset: Mapping[str, Any] | Any,
        pipeline: Sequence[Any] | None = None,
        shared_noise: bool = False,
        seed: int = 0,
    ) -> None:
        built = without_labels(open_dataset(dataset))
        self.main = built if pipeline is None else with_pipeline(built, pipeline)
        self.seed = seed
        self.shared_noise = shared_noise
        if shared_noise:
            steps = self.main.pipeline.transforms if isinstance(self.main, ParcelSeriesDataset) else ()
            if not any(isinstance(step, DisturbDates) for step in steps):
                raise ValueError(
                    'shared_noise=True needs a dataset of parcels or pixels, and DisturbDates in the pipeline'
                )

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of the dataset."""
        return self.main.metainfo

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the dataset."""
        return self.main.statistics

    def full_init(self) -> None:
        """Nothing to do: the dataset is open. (mmengine calls it.)"""

    def __len__(self) -> int:
        return len(self.main)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Entry of the sample at a plain index."""
        return self.main.get_data_info(int(idx))

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Both views of one sample."""
        if self.shared_noise:
            # Noise is shared by whole batches: one of a single sample.
            return self.__getitems__([idx])
        return {view: _without_labels(self.main[index[0]]) for view, index in self._indices([idx]).items()}

    def __getitems__(self, indices: Sequence[int]) -> CollatedBatch:
        """A batch of both views; the data loader calls it.

        Args:
            indices: `DrawIndex` of the sampler; plain indices draw by the dataset's own seed.

        Returns:
            View to what the data preprocessor takes.
        """
        drawn = self._indices(indices)
        if self.shared_noise:
            return self._with_shared_noise(drawn)
        fetch = getattr(self.main, '__getitems__', None)
        return CollatedBatch(
            {
                view: _without_labels(identity_collate(fetch(chosen) if fetch else [self.main[i] for i in chosen]))
                for view, chosen in drawn.items()
            }
        )

    def _indices(self, indices: Sequence[int]) -> dict[str, list[DrawIndex]]:
        """For each view the same samples, with seeds of its own."""
        draws = [(i.seed, i.draw) if isinstance(i, DrawIndex) else (self.seed, int(i)) for i in indices]
        seeds = [seed for seed, _ in draws]
        return {
            view: [
                DrawIndex(int(index), draw, int(own))
                for index, (_, draw), own in zip(indices, draws, derived_seeds(seeds, f'{view} view'), strict=True)
            ]
            for view in self.VIEWS
        }

    def _with_shared_noise(self, drawn: Mapping[str, list[DrawIndex]]) -> CollatedBatch:
        query, key = (self.main._open_batch(drawn[view]) for view in self.VIEWS)
        steps = self.main.pipeline.transforms
        noise = next(number for number, step in enumerate(steps) if isinstance(step, DisturbDates))
        query = _run(query, steps[: noise + 1])
        share_noise(query, key)
        views = zip(self.VIEWS, (_run(query, steps[noise + 1 :]), _run(key, steps)), strict=True)
        return CollatedBatch({view: _without_labels(batch) for view, batch in views})


def share_noise(query: ParcelBatch, key: ParcelBatch) -> None:
    """Let a batch begin with the values that another one has behind `DisturbDates`, where `RollDates` left these in
    their places.

    Args:
        query: a batch behind these transforms.
        key: the same parcels, fresh; changed.
    """
    rolled = query.notes.get('RollDates touched')
    for sensor in key.sensors:
        fresh, noisy = key.series(sensor), query.series(sensor)
        values = noisy.values.copy()
        if rolled is not None:
            values[rolled] = fresh.values[rolled]
        key.hold(sensor, fresh._replace(values=values))


def _run(batch: Any, steps: Sequence[Any]) -> Any:
    for step in steps:
        if not hasattr(step, 'transform_batch'):
            raise ValueError(f'shared_noise=True: {type(step).__name__} cannot transform whole batches')
        batch = step.transform_batch(batch)
    return batch


def _without_labels(data: Any) -> Any:
    data.pop('targets', None)
    return data
