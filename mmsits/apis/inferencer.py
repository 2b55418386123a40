"""`SITSInferencer`: from a trained network and a scene to a map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config

from mmsits.apis.domains import ensemble_digests, load_network
from mmsits.apis.early_dates import EarlyRunner, last_days
from mmsits.apis.map_job import MapJob, MapOptions, Progress, map_files, map_outputs
from mmsits.apis.map_manifest import MapManifest, digest_of
from mmsits.apis.map_scores import parcel_targets
from mmsits.apis.parcel_predictor import ParcelPredictor
from mmsits.apis.scene_checks import check_values
from mmsits.apis.scene_config import scene_config
from mmsits.apis.scene_inputs import (
    NetworkRunner,
    SceneReader,
    dataset_config,
    prediction_transforms,
    series_sensors,
    training_meta,
)
from mmsits.apis.scene_parcels import ParcelFile
from mmsits.apis.scene_predictors import PixelPredictor, WindowPredictor, network_kind
from mmsits.datasets.scene.parcel_cache import describe_scene
from mmsits.datasets.scene.scene import open_scene
from mmsits.datasets.timematch_classes import palette_of
from mmsits.engine.errors import ConfigError
from mmsits.version import __version__


class MapResult(NamedTuple):
    """What was written.

    Attributes:
        folder: of the map.
        files: by kind: 'classes', 'confidence', 'probabilities', 'early_date', 'early_confidence', 'parcels', those
            that there are.
        scores: 'pixels' and 'parcels' to scores, where labels were given.
        tiles: how many tiles the map has.
        resumed: how many of them an earlier run had finished.
    """

    folder: Path
    files: dict[str, Path]
    scores: dict[str, dict[str, float]]
    tiles: int
    resumed: int


class SITSInferencer:
    """Map scenes with a trained network: dense, pixel-wise or for parcels.

    Args:
        config: of a segmentor or an adaptor, a file or loaded.
        checkpoint: of it.
        device: where the network runs.
        season_start: day from which the network counts in the scene, 'YYYY-MM-DD' or 'MM-DD'; None for that of the
            checkpoint.

    Attributes:
        kind: 'windows', 'pixels' or 'parcels': what the network looks at.
        classes: names of the K classes.
        palette: their colours, red, green and blue, 0 to 255.

    Raises:
        ConfigError: if the config does not exist or is at fault.
        CheckpointError: if the checkpoint cannot be read, is another network's, or does not say what it was trained on.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str | torch.device = 'cpu',
        season_start: str | None = None,
    ) -> None:
        self.network = load_network(config, checkpoint, device)
        self.meta = training_meta(self.network, str(checkpoint))
        if season_start is not None:
            self.meta['season_start'] = season_start
            # A fixed date of the config would stand above it.
            self.network.segmentor.data_preprocessor.reference_day = None
        self.kind = network_kind(self.network)
        self.classes = tuple(self.meta['classes'])
        known = [tuple(int(part) for part in colour) for colour in self.meta.get('palette') or ()]
        self.palette = [*known, *palette_of(self.classes)[len(known) :]][: len(self.classes)]
        self._runner = NetworkRunner(self.network)
        self._checkpoint = Path(checkpoint)

    def open_scene(
        self,
        folders: Mapping[str, str | Path] | None = None,
        options: Mapping[str, Any] | None = None,
        grid: Any = None,
    ) -> Any:
        """Open a scene as the network's config describes its own; see `scene_config` for the arguments.

        Returns:
            `mmsits.datasets.scene.Scene`.

        Raises:
            DataError: if something is wrong with the files.
        """
        return open_scene(scene_config(self.network.cfg, self.meta, folders, options, grid))

    def __call__(
        self,
        scene: Any,
        out: str | Path,
        parcels: str | Path | None = None,
        labels: Any = None,
        label_column: str | None = None,
        options: MapOptions | None = None,
        overwrite: bool = False,
        progress: Progress = lambda what, done, total: None,
        parcels_layer: str | None = None,
    ) -> MapResult:
        """Map a scene.

        The map appears in `out` when it is complete. A call that was stopped, however, goes on where it was when it is
        repeated, and gives the same bytes.

        Args:
            scene: `mmsits.datasets.scene.Scene`, or what has its `grid`, `sensors_info`, `days` and `read`.
            out: folder for the map.
            parcels: file of polygons, each of which is classified: by the network, or by averaging the map inside.
            labels: raster or vector file, or `SceneLabels`, to compare the pixels of the map with.
            label_column: column with class names, in the labels and in the parcels where these have it.
            options: see `MapOptions`.
            overwrite: replace a map of other things that is in `out`.
            progress: called often.
            parcels_layer: layer of the file of parcels.

        Returns:
            What was written.

        Raises:
            ConfigError: if options contradict each other, or `out` holds a map of something else.
            CheckpointError: if sensors, bands, units or season are not those that the network was trained on.
            DataError: if the scene cannot be read, or nothing in it was observed.
            DiskWriteError: if the disk is full or refuses.
        """
        self._refuse_useless(parcels, labels, label_column)
        job = self._job(scene, out, parcels, options or MapOptions(), overwrite, parcels_layer)
        # Labels are looked at before hours of computing, rather than after.
        reference = None if self.kind == 'parcels' else _labels(labels, label_column, scene.grid, self.classes)
        targets = self._parcel_targets(job.parcels, label_column, reference is not None)
        resumed = job.run(progress)
        scores = {}
        if reference is not None:
            scores['pixels'] = job.score_pixels(reference, progress)
        if targets is not None:
            scores['parcels'] = job.score_parcels(targets)
        return MapResult(Path(out), job.files, scores, len(job.tiles), resumed)

    def verify(
        self,
        scene: Any,
        out: str | Path,
        count: int,
        parcels: str | Path | None = None,
        options: MapOptions | None = None,
        progress: Progress = lambda what, done, total: None,
        parcels_layer: str | None = None,
    ) -> list[int]:
        """Predict some tiles of a finished map again, evenly spread, and compare the bytes.

        Args:
            scene: as it was mapped.
            out: folder of the map.
            count: number of tiles.
            parcels: as it was mapped.
            options: as it was mapped.
            progress: called often.
            parcels_layer: as it was mapped.

        Returns:
            Numbers of the tiles that came out otherwise.

        Raises:
            ConfigError: if the map is not finished, or of something else.
        """
        job = self._job(scene, out, parcels, options or MapOptions(), False, parcels_layer)
        if not job.manifest.complete:
            raise ConfigError(f'{out} holds no finished map that could be verified')
        return job.verify(count, progress)

    def _refuse_useless(self, parcels: Any, labels: Any, label_column: str | None) -> None:
        """Refuse labels that nothing would be compared with."""
        if self.kind == 'parcels' and labels is not None:
            raise ConfigError(
                'the network classifies parcels, and makes no map of pixels to compare labels with: leave --labels '
                'out, and name the column of the parcels that holds their class (--label-column)'
            )
        if label_column is not None and labels is None and parcels is None:
            raise ConfigError(
                f'--label-column {label_column}: there is nothing that has it; give --labels or --parcels'
            )

    def _parcel_targets(self, parcels: ParcelFile | None, column: str | None, elsewhere: bool) -> np.ndarray | None:
        """What the parcels are, if their file says it; it need not where there are labels elsewhere."""
        if parcels is None or column is None or (elsewhere and column not in parcels.frame.columns):
            return None
        return parcel_targets(parcels, column, self.classes)

    def _job(
        self,
        scene: Any,
        out: str | Path,
        parcels: str | Path | None,
        options: MapOptions,
        overwrite: bool,
        layer: str | None,
    ) -> MapJob:
        if self.kind == 'parcels' and parcels is None:
            raise ConfigError('the network classifies parcels, sets of pixels: give their outlines (--parcels FILE)')
        options = self._complete(options)
        reader = SceneReader(scene, self.network, self.meta)
        file = None if parcels is None else ParcelFile(parcels, scene.grid, layer)
        runner = self._runner
        if options.early_every is not None:
            days = {sensor: scene.days[sensor] for sensor in series_sensors(self.network)}
            runner = EarlyRunner(self.network, last_days(days, reader.season_start, options.early_every))
        predictor = self._predictor(reader, runner, file, options)
        outputs = map_outputs(map_files(options, self.kind == 'parcels', file is not None).values())
        if parcels is not None and Path(parcels).resolve() in [(Path(out) / name).resolve() for name in outputs]:
            raise ConfigError(f'{parcels} would be overwritten by the map of it: give another folder')
        manifest = MapManifest(out, self._description(reader, file, options), overwrite, outputs)
        if not manifest.complete:
            check_values(reader, self.network)
        return MapJob(reader, runner, predictor, self.classes, self.palette, file, options, manifest)

    def _complete(self, options: MapOptions) -> MapOptions:
        """Options with values for all that were left open."""
        dataset = dataset_config(self.network.cfg)
        test_cfg = self.network.segmentor.test_cfg or {}
        crop = test_cfg.get('crop_size') or (None,)
        size = options.window_size or dataset.get('window_size') or crop[0] or 128
        parcels = self.kind == 'parcels'
        tile = options.tile_size or (512 if parcels else 1024)
        on_cpu = self.network.device.type == 'cpu'
        # A CPU gains nothing from more, and has the memory of each.
        batch = options.batch_size or (128 if parcels else 2 if on_cpu else 8)
        pixel_batch = options.pixel_batch or (2**13 if on_cpu else 2**15)
        if min(tile, batch, pixel_batch, options.pixels_per_parcel) < 1:
            raise ConfigError('sizes of tiles and batches, and pixels per parcel, must be 1 or more')
        if parcels and options.early_every is not None:
            raise ConfigError('a network for parcels makes no raster of dates: leave --early-every out')
        if parcels and options.probabilities:
            raise ConfigError('a network for parcels makes no raster of probabilities: the file of parcels holds them')
        overlap = size // 4 if options.overlap is None else options.overlap
        return options._replace(
            window_size=int(size),
            overlap=int(overlap),
            batch_size=batch,
            pixel_batch=pixel_batch,
            tile_size=tile,
        )

    def _predictor(
        self, reader: SceneReader, runner: NetworkRunner, parcels: ParcelFile | None, options: MapOptions
    ) -> Any:
        if self.kind == 'parcels':
            assert parcels is not None
            assert options.batch_size is not None
            return ParcelPredictor(
                reader,
                runner,
                parcels,
                self._parcel_rules(),
                options.pixels_per_parcel,
                batch_size=options.batch_size,
            )
        if self.kind == 'pixels':
            assert options.pixel_batch is not None
            return PixelPredictor(reader, runner, batch_size=options.pixel_batch)
        assert options.window_size is not None
        assert options.overlap is not None
        assert options.batch_size is not None
        return WindowPredictor(reader, runner, options.window_size, options.overlap, options.batch_size)

    def _parcel_rules(self) -> dict[str, Any]:
        """How the pixels of parcels are found, as the config's dataset finds them."""
        labels = dataset_config(self.network.cfg).get('labels') or {}
        return {name: labels[name] for name in ('inner_buffer', 'all_touched') if name in labels}

    def _description(self, reader: SceneReader, parcels: ParcelFile | None, options: MapOptions) -> dict[str, Any]:
        """What determines the bytes of a map."""
        grid = reader.scene.grid
        described = dict(
            checkpoint=digest_of(self._checkpoint),
            ensemble=ensemble_digests(self.network),
            network=self.network.cfg.model.to_dict(),
            transforms=[repr(transform) for transform in prediction_transforms(self.network.cfg)],
            classes=list(self.classes),
            palette=self.palette,
            kind=self.kind,
            scene=scene_identity(reader.scene),
            bands=reader.bands,
            units=reader.units,
            season_start=reader.season_start,
            crs=grid.crs.to_wkt(),
            transform=list(grid.transform)[:6],
            size=list(grid.shape),
            parcels=None if parcels is None else [_file_identity(parcels.path), parcels.layer, len(parcels)],
            parcel_rules=self._parcel_rules() if self.kind == 'parcels' else None,
            device=self.network.device.type,
            versions=dict(mmsits=__version__, torch=torch.__version__),
        )
        return described | {f'option {name}': value for name, value in options._asdict().items()}


def _labels(labels: Any, column: str | None, grid: Any, classes: tuple[str, ...]) -> Any:
    if labels is None or hasattr(labels, 'read'):
        return labels
    from mmsits.datasets.scene.labels import read_labels

    path = Path(labels)
    if path.suffix.lower() in ('.tif', '.tiff', '.vrt', '.img', '.jp2'):
        return read_labels(path, grid, classes=classes)
    if column is None:
        raise ConfigError(f'{path}: say which column holds the class (--label-column)')
    return read_labels(path, grid, classes=classes, column=column, nulls='ignore', repair=True)


def scene_identity(scene: Any) -> Any:
    """What tells a scene from others: its files with size and time of change, their dates, and how their numbers are
    taken."""
    if not getattr(scene, 'sensors', None):
        return dict(sensors=dict(scene.sensors_info), days={name: days.tolist() for name, days in scene.days.items()})
    return describe_scene(scene, {name: info['bands'] for name, info in scene.sensors_info.items()}).splitlines()


def _file_identity(path: Path) -> list[Any]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]
