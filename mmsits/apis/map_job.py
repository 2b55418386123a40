"""One scene on its way to one map: tile by tile, in bounded memory, stoppable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmsits.apis import map_writer
from mmsits.apis.early_dates import NEVER, EarlyRunner, at_lengths, early_arrays
from mmsits.apis.map_manifest import MapManifest, digest_of_arrays
from mmsits.apis.map_scores import score_parcels, score_pixels
from mmsits.apis.parcel_predictor import ParcelPredictor
from mmsits.apis.scene_inputs import NetworkRunner, SceneReader
from mmsits.apis.scene_parcels import ParcelFile, ParcelSums, free_names, parcel_columns, write_parcels
from mmsits.apis.scene_predictors import Predictor, read_ahead
from mmsits.datasets.errors import DataError
from mmsits.datasets.scene.grid import Window, block_windows
from mmsits.version import __version__

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and of how much."""
CLASS_MAP, CONFIDENCE_MAP, PROBABILITY_MAP = 'classes.tif', 'confidence.tif', 'probabilities.tif'
EARLY_MAP, EARLY_CONFIDENCE_MAP = 'early_date.tif', 'early_confidence.tif'
PARCELS = 'parcels.gpkg'
SCORES = {'pixels': 'scores_pixels.json', 'parcels': 'scores_parcels.json'}


class MapOptions(NamedTuple):
    """How a scene is mapped.

    Attributes:
        probabilities: write the probability of every class, too.
        window_size: height and width of the windows that a dense network sees, in pixels. None for those of the config
            (window or crop size of its test data), else 128.
        overlap: of neighbouring windows, in pixels. None for a quarter.
        batch_size: windows, or parcels, in a batch. None for 8 windows (on a CPU 2), 128 parcels.
        pixel_batch: pixels in a batch of a network that looks at each by itself. None for 32768 (on a CPU 8192).
        tile_size: height and width of the tiles after each of which a run can be stopped; a multiple of 512 makes the
            smallest files. None for 1024, for parcel networks 512.
        pixels_per_parcel: see `ParcelPredictor`.
        early_every: also write since when the class of each pixel has not changed, by looking at the season up to
            acquisitions that lie so many days apart at least; it takes the time of as many maps.
    """

    probabilities: bool = False
    window_size: int | None = None
    overlap: int | None = None
    batch_size: int | None = None
    pixel_batch: int | None = None
    tile_size: int | None = None
    pixels_per_parcel: int = 4096
    early_every: int | None = None


def map_files(options: MapOptions, of_parcels: bool, with_parcels: bool) -> dict[str, str]:
    """Names of the files of a map, by kind.

    Args:
        options: of the map.
        of_parcels: whether the network classifies parcels, and no pixels.
        with_parcels: whether parcels are given.
    """
    names = {}
    if not of_parcels:
        names = {'classes': CLASS_MAP, 'confidence': CONFIDENCE_MAP}
        if options.probabilities:
            names['probabilities'] = PROBABILITY_MAP
        if options.early_every is not None:
            names |= {'early_date': EARLY_MAP, 'early_confidence': EARLY_CONFIDENCE_MAP}
    return names | ({'parcels': PARCELS} if with_parcels else {})


def map_outputs(files: Iterable[str]) -> list[str]:
    """Names of all that may be written for a map: its files, what lies beside them, scores.

    Args:
        files: from `map_files`.
    """
    files = list(files)
    beside = [Path(name).with_suffix('.qml').name for name in files]
    # Programs that show a raster keep its statistics there.
    beside += [f'{name}.aux.xml' for name in files if name.endswith('.tif')]
    return [*files, *beside, *SCORES.values()]


class MapJob:
    """One scene on its way to one map.

    Args:
        reader: windows of the scene.
        runner: the network.
        predictor: `WindowPredictor`, `PixelPredictor` or `ParcelPredictor`.
        classes: names of the K classes.
        palette: their colours.
        parcels: to be classified; None for none.
        options: complete.
        manifest: of the folder that the map goes to.

    Attributes:
        tiles: of the scene.
    """

    def __init__(
        self,
        reader: SceneReader,
        runner: NetworkRunner,
        predictor: Any,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        parcels: ParcelFile | None,
        options: MapOptions,
        manifest: MapManifest,
    ) -> None:
        self._reader, self._runner, self._predictor = reader, runner, predictor
        self._classes, self._palette = classes, palette
        self.parcels, self._options, self.manifest = parcels, options, manifest
        self._grid = reader.scene.grid
        assert options.tile_size is not None
        self.tiles = list(block_windows(self._grid.height, self._grid.width, options.tile_size))

    @property
    def _of_parcels(self) -> bool:
        return isinstance(self._predictor, ParcelPredictor)

    @property
    def files(self) -> dict[str, Path]:
        """The files of the map, by kind."""
        names = map_files(self._options, self._of_parcels, self.parcels is not None)
        return {kind: self.manifest.folder / name for kind, name in names.items()}

    def run(self, progress: Progress) -> int:
        """Predict the tiles that are not finished, and write the map.

        Returns:
            How many tiles were finished before.
        """
        if self.manifest.complete:
            return len(self.tiles)
        finished = {number for number in range(len(self.tiles)) if self.manifest.has(number)}
        todo = [number for number in range(len(self.tiles)) if number not in finished]
        steps = [self._predictor.steps(tile) for tile in self.tiles]
        before = sum(steps[number] for number in finished)
        self._predict(todo, self.manifest.save, lambda done: progress('predicting', before + done, sum(steps)))
        self._refuse_nothing()
        for position, (kind, path) in enumerate(self.files.items()):
            progress('writing', position, len(self.files))
            self._write(kind, path)
        progress('writing', len(self.files), len(self.files))
        self.manifest.finish([path.name for path in self.files.values()], len(self.tiles))
        return len(finished)

    def _predict(
        self, numbers: Sequence[int], keep: Callable[[int, dict[str, np.ndarray]], Any], progress: Callable[[int], None]
    ) -> None:
        """Predict tiles one after the other, reading ahead, and hand over their numbers and arrays."""

        def prepared() -> Iterator[Any]:
            for number in numbers:
                yield from self._predictor.prepare(self.tiles[number])

        def counted() -> Iterator[Any]:
            for done, part in enumerate(read_ahead(prepared), start=1):
                yield part
                progress(done)

        parts = counted()
        with torch.inference_mode(), _repeatable():
            for number in numbers:
                keep(number, self._arrays(self.tiles[number], parts))
        # Counts the last part.
        next(parts, None)

    def _arrays(self, tile: Window, parts: Iterator[Any]) -> dict[str, np.ndarray]:
        if self._of_parcels:
            return self._predictor.arrays(tile, parts)
        return self._rasters(self._predictor, tile, parts)

    def _rasters(self, predictor: Predictor, tile: Window, parts: Iterator[Any]) -> dict[str, np.ndarray]:
        """Class and confidence of a tile's pixels, and what its parcels' pixels add up to."""
        classes = np.full(tile.shape, map_writer.NODATA, np.uint8)
        confidence = np.full(tile.shape, map_writer.NODATA, np.uint8)
        probabilities: np.ndarray | None = None
        if self._options.probabilities:
            probabilities = np.full((len(self._classes), *tile.shape), map_writer.NODATA, np.uint8)
        sums = None if self.parcels is None else ParcelSums(self.parcels, len(self._classes))
        early: dict[str, np.ndarray] = {}
        if isinstance(self._runner, EarlyRunner):
            early['early_date'] = np.full(tile.shape, NEVER, np.uint16)
            early['early_confidence'] = np.full(tile.shape, map_writer.NODATA, np.uint8)
        for strip in predictor.strips(tile, parts):
            rows, columns = strip.window.within(tile).slices
            if isinstance(self._runner, EarlyRunner):
                for name, values in early_arrays(strip, self._runner).items():
                    early[name][rows, columns] = values
                strip = strip._replace(probabilities=at_lengths(strip, len(self._runner.days))[-1])
            decided = self._runner.decide(strip.probabilities)
            classes[rows, columns] = np.where(strip.observed, decided, map_writer.NODATA)
            chosen = np.take_along_axis(strip.probabilities, decided[None].astype(np.int64), axis=0)[0]
            confidence[rows, columns] = map_writer.quantise(chosen, strip.observed)
            if probabilities is not None:
                probabilities[:, rows, columns] = map_writer.quantise(strip.probabilities, strip.observed)
            if sums is not None:
                sums.add(strip)
        arrays = dict(classes=classes, confidence=confidence, **early)
        if probabilities is not None:
            arrays['probabilities'] = probabilities
        return arrays if sums is None else arrays | sums.arrays()

    def _refuse_nothing(self) -> None:
        """An error where no tile holds an observed pixel."""
        name = 'parcel_sums' if self._of_parcels else 'classes'
        for number in range(len(self.tiles)):
            values = self.manifest.load(number, [name])[name]
            if (values[:, 0] > 0).any() if name == 'parcel_sums' else (values != map_writer.NODATA).any():
                return
        raise DataError(
            'nothing in the scene was observed: on every date each pixel is nodata, or hidden by a cloud',
            path=self.manifest.folder,
            hint='Look at nodata and the cloud masks of the sensors; no map was written.',
        )

    def _write(self, kind: str, path: Path) -> None:
        names, palette = self._classes, self._palette
        tags = dict(
            season_start=str(np.datetime64(int(self._reader.season_start), 'D')), software=f'mmsits {__version__}'
        )
        if kind == 'parcels':
            assert self.parcels is not None
            columns = parcel_columns(self._parcel_sums(), names)
            written = write_parcels(path, self.parcels, columns)
            map_writer.write_parcel_style(path, written['class_name'], names, palette)
            return
        bands = {
            'classes': [map_writer.class_band(names)],
            'confidence': [map_writer.percent_band('confidence')],
            'probabilities': [map_writer.percent_band(name) for name in names],
            'early_date': [map_writer.RasterBand('early_date', dict(unit='days since the season start'))],
            'early_confidence': [map_writer.percent_band('confidence on early_date')],
        }[kind]
        colours = palette if kind == 'classes' else None
        if kind == 'early_date':
            assert isinstance(self._runner, EarlyRunner)
            map_writer.write_raster(path, self._grid, bands, self._parts(kind), tags, nodata=NEVER)
            map_writer.write_day_style(path, self._runner.days, int(self._reader.season_start))
            return
        map_writer.write_raster(path, self._grid, bands, self._parts(kind), tags, colours)
        if kind == 'classes':
            map_writer.write_class_names(path, names, palette)
            map_writer.write_class_style(path, names, palette)
        else:
            map_writer.write_percent_style(path)

    def _parts(self, kind: str) -> Iterator[tuple[Window, np.ndarray]]:
        for number, tile in enumerate(self.tiles):
            values = self.manifest.load(number, [kind])[kind]
            yield tile, values if values.ndim == 3 else values[None]

    def _parcel_sums(self) -> np.ndarray:
        """Sums over all tiles, (N,K+1)."""
        assert self.parcels is not None
        total = np.zeros((len(self.parcels), len(self._classes) + 1))
        for number in range(len(self.tiles)):
            found = self.manifest.load(number, ['parcel', 'parcel_sums'])
            total[found['parcel']] += found['parcel_sums']
        return total

    def verify(self, count: int, progress: Progress) -> list[int]:
        """Predict some tiles of the finished map again; see `SITSInferencer.verify`."""
        chosen = np.unique(np.linspace(0, len(self.tiles) - 1, min(count, len(self.tiles))).astype(int)).tolist()
        steps = sum(self._predictor.steps(self.tiles[number]) for number in chosen)
        different: list[int] = []

        def compare(number: int, arrays: dict[str, np.ndarray]) -> None:
            if digest_of_arrays(arrays) != self.manifest.tile_digests[number]:
                different.append(number)

        self._predict(chosen, compare, lambda done: progress('verifying', done, steps))
        return different

    def score_pixels(self, labels: Any, progress: Progress) -> dict[str, float]:
        """Compare the class map with labels."""
        done = 0

        def counted() -> None:
            nonlocal done
            done += 1
            progress('scoring', done, len(self.tiles))

        out = self.manifest.folder / SCORES['pixels']
        return score_pixels(self.files['classes'], labels, self._classes, self.tiles, out, counted)

    def score_parcels(self, target: np.ndarray) -> dict[str, float]:
        """Compare the classes of the parcels with what `parcel_targets` says of them."""
        import geopandas

        assert self.parcels is not None
        wanted = list(parcel_columns(np.zeros((0, len(self._classes) + 1)), self._classes))
        name = free_names(wanted, list(self.parcels.frame.columns))['class']
        predicted = geopandas.read_file(self.files['parcels'], columns=[name], ignore_geometry=True)[name]
        out = self.manifest.folder / SCORES['parcels']
        return score_parcels(self.parcels, target, predicted, self._classes, out)


class _repeatable:
    """Within this block cuDNN chooses the same algorithms every time."""

    def __enter__(self) -> None:
        self._before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True

    def __exit__(self, *_: Any) -> None:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = self._before
