"""Networks on scenes: windows of dense networks blended, pixels of pixel-wise networks gathered, in bounded memory.

What is read and how it is batched depends on the tile alone. So a tile has the same bytes whether the run was
interrupted before it or not.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from mmseg.registry import DATASETS
from torch import nn

from mmsits.apis.domains import TrainedNetwork
from mmsits.apis.scene_inputs import (
    NetworkRunner,
    Sample,
    SceneReader,
    dataset_config,
    gather_pixels,
    joins_pixels,
    observed_pixels,
)
from mmsits.apis.scene_tiles import Strip, blending_weights, blocks_of, window_starts
from mmsits.datasets.parcel_dataset import ParcelSeriesDataset
from mmsits.datasets.scene.grid import Window
from mmsits.engine.errors import ConfigError
from mmsits.models.backbones.pixelwise import PixelwiseBackbone
from mmsits.structures import ImageSeries

_T = TypeVar('_T')


def network_kind(network: TrainedNetwork) -> str:
    """What a network looks at: 'parcels' (sets of pixels), 'pixels' (each series by itself) or 'windows'."""
    segmentor = network.segmentor
    if getattr(segmentor.backbone, 'pools_space', False):
        return 'parcels'
    if not isinstance(segmentor.backbone, PixelwiseBackbone) or segmentor.with_neck or _mixes_pixels(segmentor):
        return 'windows'
    # A norm over the pixels of a map sees other numbers where there is but one, a choice of dates other pixels.
    differs = _norms_maps(segmentor) or joins_pixels(network.cfg)
    return 'windows' if differs and _trained_on_maps(network) else 'pixels'


def _mixes_pixels(segmentor: Any) -> bool:
    """Whether the head has a layer that looks at more than one pixel: a wide convolution or pooling."""
    for module in segmentor.decode_head.modules():
        size = getattr(module, 'kernel_size', 1)
        if any(extent != 1 for extent in (size if isinstance(size, Sequence) else (size,))):
            return True
        if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
            return True
    return False


def _norms_maps(segmentor: Any) -> bool:
    norms = (nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)
    return any(isinstance(module, norms) for module in segmentor.decode_head.modules())


def _trained_on_maps(network: TrainedNetwork) -> bool:
    """Whether the samples of the config's dataset are maps, rather than pixels or sets of pixels."""
    dataset = dataset_config(network.cfg)
    if 'samples' in dataset:
        return dataset['samples'] == 'windows'
    cls = DATASETS.get(dataset['type']) if isinstance(dataset.get('type'), str) else dataset.get('type')
    return not (isinstance(cls, type) and issubclass(cls, ParcelSeriesDataset))


class Predictor(Protocol):
    """Predicts tiles: `prepare` runs ahead in a thread, `strips` takes what it prepared, in the same order."""

    def steps(self, tile: Window) -> int:
        """How many parts `prepare` yields for a tile."""

    def prepare(self, tile: Window) -> Iterator[Any]:
        """Read and transform what a tile needs, part by part."""

    def strips(self, tile: Window, parts: Iterator[Any]) -> Iterator[Strip]:
        """Final probabilities of the tile; its strips cover it without overlap."""


class _Batch(NamedTuple):
    """Neighbouring windows of one row: left columns, samples (None where nothing was observed), observed pixels."""

    lefts: list[int]
    samples: list[Sample | None]
    observed: list[np.ndarray]


class WindowPredictor:
    """Dense networks: overlapping windows, their probabilities blended where they overlap.

    Of a tile, only one row of windows is held in memory: what lies above the next row is final.

    Args:
        reader: windows of the scene.
        runner: the network.
        size: height and width of a window in pixels. A smaller scene is padded with pixels that were not observed.
        overlap: of neighbouring windows, in pixels.
        batch_size: windows in a batch.

    Raises:
        ConfigError: if the network cannot take windows of this size, or size and overlap do not go together.
    """

    def __init__(
        self, reader: SceneReader, runner: NetworkRunner, size: int = 128, overlap: int = 32, batch_size: int = 8
    ) -> None:
        smallest = getattr(runner.network.segmentor.backbone, 'min_size', 1)
        if size < smallest:
            raise ConfigError(f'windows of {size} pixels: the network takes {smallest} at least')
        if not 0 <= overlap < size:
            raise ConfigError(f'an overlap of {overlap} pixels does not go with windows of {size}')
        self.reader, self.runner = reader, runner
        self.size, self.overlap, self.batch_size = size, overlap, batch_size
        self._grid = reader.scene.grid

    def steps(self, tile: Window) -> int:
        """See `Predictor`: batches of windows."""
        return len(self._tops(tile)) * len(self._batches(tile))

    def prepare(self, tile: Window) -> Iterator[_Batch]:
        """See `Predictor`."""
        for top in self._tops(tile):
            for lefts in self._batches(tile):
                yield self._read(top, lefts)

    def strips(self, tile: Window, parts: Iterator[_Batch]) -> Iterator[Strip]:
        """See `Predictor`."""
        blend = _Blend(self.runner, tile, self.size)
        tops = self._tops(tile)
        for number, top in enumerate(tops):
            blend.move_to(top)
            for _ in self._batches(tile):
                self._predict(next(parts), blend)
            end = tops[number + 1] if number + 1 < len(tops) else tile.row + tile.height
            if (strip := blend.finish(end)) is not None:
                yield strip

    def _tops(self, tile: Window) -> list[int]:
        return window_starts(self._grid.height, self.size, self.overlap, tile.row, tile.row + tile.height)

    def _batches(self, tile: Window) -> list[list[int]]:
        """Left columns of the windows of one row, batch by batch."""
        lefts = window_starts(self._grid.width, self.size, self.overlap, tile.column, tile.column + tile.width)
        return [lefts[first : first + self.batch_size] for first in range(0, len(lefts), self.batch_size)]

    def _read(self, top: int, lefts: list[int]) -> _Batch:
        # Neighbours overlap: they are read at once, and cut out.
        width = min(lefts[-1] + self.size, self._grid.width) - lefts[0]
        series = self.reader.read(Window(top, lefts[0], min(self.size, self._grid.height - top), width))
        batch = _Batch(lefts, [], [])
        for left in lefts:
            window = {name: _cut(part, left - lefts[0], self.size) for name, part in series.items()}
            seen = observed_pixels(window)
            batch.observed.append(seen)
            name = f'window at row {top}, column {left}'
            batch.samples.append(self.reader.sample(self._padded(window), name) if seen.any() else None)
        return batch

    def _padded(self, series: dict[str, ImageSeries]) -> dict[str, ImageSeries]:
        """A window of a scene that is smaller than it, filled up with pixels that were not observed."""
        return {name: _pad(part, self.size) for name, part in series.items()}

    def _predict(self, batch: _Batch, blend: _Blend) -> None:
        samples = [sample for sample in batch.samples if sample is not None]
        if not samples:
            return
        probabilities, observed = self.runner(samples)
        numbers = [number for number, sample in enumerate(batch.samples) if sample is not None]
        for number, found, seen in zip(numbers, probabilities, observed.cpu().numpy(), strict=True):
            height, width = batch.observed[number].shape
            blend.add(batch.lefts[number], found[:, :height, :width], batch.observed[number] & seen[:height, :width])


def _cut(series: ImageSeries, left: int, width: int) -> ImageSeries:
    columns = slice(left, left + width)
    return ImageSeries(series.values[..., columns], series.days, series.valid[..., columns])


def _pad(series: ImageSeries, size: int) -> ImageSeries:
    height, width = series.values.shape[-2:]
    if (height, width) == (size, size):
        return series
    margins = ((0, size - height), (0, size - width))
    return ImageSeries(
        np.pad(series.values, ((0, 0), (0, 0), *margins)), series.days, np.pad(series.valid, ((0, 0), *margins))
    )


class _Blend:
    """Weighted sums of probabilities over one row of windows, within the columns of a tile."""

    def __init__(self, runner: NetworkRunner, tile: Window, size: int) -> None:
        self.tile = tile
        self.top = tile.row - size
        self.done = tile.row
        self._weights = blending_weights(size).to(runner.device)
        self._sums = torch.zeros((runner.classes + 1, size, tile.width), device=runner.device)
        self._observed = np.zeros((size, tile.width), bool)

    def move_to(self, top: int) -> None:
        """Go down to the next row of windows; what lies above is forgotten."""
        step = min(max(top - self.top, 0), self._observed.shape[0])
        self._sums = torch.roll(self._sums, -step, 1)
        self._observed = np.roll(self._observed, -step, 0)
        if step:
            self._sums[:, -step:] = 0
            self._observed[-step:] = False
        self.top = top

    def add(self, left: int, probabilities: torch.Tensor, observed: np.ndarray) -> None:
        """Take in a window, (K,h,w) and (h,w), whose first column is `left` of the scene."""
        height, width = observed.shape
        first, end = max(left, self.tile.column), min(left + width, self.tile.column + self.tile.width)
        source = slice(first - left, end - left)
        target = slice(first - self.tile.column, end - self.tile.column)
        # What a network says of a pixel without an observation in its window (a transform may have left none of it)
        # must not be mixed with what it says of it in another one.
        seen = torch.from_numpy(np.ascontiguousarray(observed[:, source])).to(self._weights.device)
        weights = self._weights[:height, source] * seen
        self._sums[:-1, :height, target] += probabilities[..., source] * weights
        self._sums[-1, :height, target] += weights
        self._observed[:height, target] |= observed[:, source]

    def finish(self, end: int) -> Strip | None:
        """The rows of the tile above `end` that were not handed out yet."""
        first, end = self.done, min(end, self.tile.row + self.tile.height)
        if end <= first:
            return None
        self.done = end
        rows = slice(first - self.top, end - self.top)
        sums = self._sums[:, rows]
        probabilities = (sums[:-1] / sums[-1].clamp(min=1e-12)).cpu().numpy()
        observed = self._observed[rows].copy()
        probabilities[:, ~observed] = 0
        return Strip(Window(first, self.tile.column, end - first, self.tile.width), probabilities, observed)


class _Block(NamedTuple):
    """A block of pixels: where it lies, its observed pixels, their samples (or batches of these)."""

    window: Window
    observed: np.ndarray
    samples: list[Any]


class PixelPredictor:
    """Networks that look at each pixel's series by itself: observed pixels are gathered and go through in batches.

    Pixels go through as the column of one map, which is fastest: they share their dates. Where the head has a norm over
    the pixels of a map, or what is averaged depends on a sample's dates or size, each is a map of its own; where a
    transform looks at the pixels of a sample together, each is a sample of its own from the beginning.

    Args:
        reader: windows of the scene.
        runner: the network.
        block_size: height and width of what is read at once.
        batch_size: pixels in a batch.
    """

    def __init__(
        self, reader: SceneReader, runner: NetworkRunner, block_size: int = 256, batch_size: int = 8192
    ) -> None:
        self.reader, self.runner = reader, runner
        self.block_size, self.batch_size = block_size, batch_size
        segmentor = runner.network.segmentor
        apart = _norms_maps(segmentor) or segmentor.averaging is not None
        self._predict: Callable[[Any], tuple[torch.Tensor, torch.Tensor]]
        self._predict = runner.predict_apart if apart else runner.predict_column
        self._as_samples = joins_pixels(runner.network.cfg)
        if self._as_samples:
            self._predict = runner.predict_batch

    def steps(self, tile: Window) -> int:
        """See `Predictor`: blocks."""
        return len(blocks_of(tile, self.block_size))

    def prepare(self, tile: Window) -> Iterator[_Block]:
        """See `Predictor`."""
        for block in blocks_of(tile, self.block_size):
            series = self.reader.read(block)
            observed = observed_pixels(series)
            rows, columns = np.nonzero(observed)
            samples = []
            for first in range(0, len(rows), self.batch_size):
                chosen = slice(first, first + self.batch_size)
                pixels = gather_pixels(series, rows[chosen], columns[chosen])
                samples.append(self._sample(pixels, block, rows[chosen], columns[chosen]))
            yield _Block(block, observed, samples)

    def _sample(self, pixels: dict[str, ImageSeries], block: Window, rows: np.ndarray, columns: np.ndarray) -> Any:
        """What `_predict` takes, of pixels at some rows and columns of a block."""
        name = f'pixels at row {block.row}, column {block.column}'
        if not self._as_samples:
            return self.reader.sample(pixels, name)
        width = self.reader.scene.grid.width
        return self.reader.pixel_batch(pixels, (block.row + rows) * width + block.column + columns, name)

    def strips(self, tile: Window, parts: Iterator[_Block]) -> Iterator[Strip]:
        """See `Predictor`."""
        for _ in range(self.steps(tile)):
            window, observed, samples = next(parts)
            probabilities = np.zeros((self.runner.classes, *observed.shape), np.float32)
            observed = observed.copy()
            if samples:
                found, seen = zip(*(self._predict(sample) for sample in samples), strict=True)
                probabilities[:, observed] = torch.cat(found).T.cpu().numpy()
                # A transform may have left nothing of a pixel.
                observed[observed] = torch.cat(seen).cpu().numpy()
                probabilities[:, ~observed] = 0
            yield Strip(window, probabilities, observed)


_END = object()


def read_ahead(parts: Callable[[], Iterable[_T]], depth: int = 2) -> Iterator[_T]:
    """Iterate in a thread, a few parts ahead of who takes them.

    Args:
        parts: makes what is iterated; called, and run, in the thread.
        depth: so many finished parts wait at most.

    Yields:
        The parts; an error of the thread is raised here.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for part in parts():
                if not put((part, None)):
                    return
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    thread = threading.Thread(target=run, name='read-ahead', daemon=True)
    thread.start()
    try:
        while True:
            part, error = waiting.get()
            if error is not None:
                raise error
            if part is _END:
                return
            yield part
    finally:
        stopped.set()
        thread.join()
