"""Labels of a scene: a raster of codes, polygons or points, all read window by window as maps of class indices.

Two kinds: `ItemLabels`, whose pixels belong to features (the parcels of a polygon file, or points), and `RasterLabels`,
whose pixels are by themselves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from ..errors import DataError
from ..timematch_classes import code_text, palette_of
from .grid import Grid, Window, block_windows
from .vectors import metric_crs, missing_column, read_vector, texts_of, to_pixels

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

IGNORED = 255
MOST_CLASSES = 255
NOBODY, DISPUTED = -1, -2
"""Owner of a pixel that lies in no feature, and of one that lies in features of different classes."""
BLOCK = 1024
"""Side, in pixels, of the blocks in which a whole scene is gone through."""
_RASTERS = ('.tif', '.tiff', '.vrt', '.img', '.jp2')

Progress = Callable[[int, int], None]
"""Called with the number of steps done and in all."""

SplitNames = str | Sequence[str] | None
"""One split, several, or all of a scene."""


class LabelPixels(NamedTuple):
    """The labelled pixels of a scene, those of one feature together.

    Attributes:
        features: number of the feature of each group, (N,) int64, ascending; features without a pixel are absent. A
            raster's pixels are groups of one, numbered from 0.
        offsets: first pixel of each group and the number of all, (N+1,) int64.
        rows: (P,) int32.
        columns: (P,) int32. Within a group in the order of rows, then columns.
        labels: class index of each group, (N,) uint8, 255 for none.
        splits: number of each group's split, (N,) int8, -1 for none.
    """

    features: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    labels: np.ndarray
    splits: np.ndarray

    def take(self, groups: np.ndarray) -> LabelPixels:
        """The groups at some positions, in ascending order, with their pixels."""
        sizes = np.diff(self.offsets)
        chosen = np.zeros(len(sizes), bool)
        chosen[groups] = True
        members = np.repeat(chosen, sizes)
        return LabelPixels(
            self.features[chosen],
            np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64),
            self.rows[members],
            self.columns[members],
            self.labels[chosen],
            self.splits[chosen],
        )


class SceneLabels:
    """What is known of the classes in a scene.

    Attributes:
        path: the file.
        grid: the scene's grid.
        kind: 'raster', 'polygons' or 'points'.
        names: class of every feature (or code of a raster) before any is left out, texts.
        classes: names of the K classes.
        palette: their colours, K lists of red, green and blue, 0 … 255.
        pixel_splits: gives the numbers of the splits of a window's pixels, (h,w) int8, -1 for none, where these are a
            matter of the place; set by `splits`.
        split_names: names of the splits.
    """

    path: Path
    grid: Grid
    kind: str
    classes: tuple[str, ...]
    palette: list[list[int]]
    pixel_splits: Callable[[Window], np.ndarray] | None = None
    split_names: tuple[str, ...] = ()

    def read(self, window: Window, split: SplitNames = None) -> np.ndarray:
        """Class indices of a window's pixels.

        Args:
            window: within the grid.
            split: part of the scene (see `splits`), or several, the pixels of others being ignored; None for all.

        Returns:
            (h,w) uint8, 255 where no class is known, classes disagree, or the class is not among `classes`.
        """
        raise NotImplementedError

    def part(self, window: Window, split: SplitNames = None) -> np.ndarray:
        """Which pixels of a window belong to a split, labelled or not, (h,w) bool.

        Ground without a label belongs to a split where that is a matter of the place; where features are divided each
        by itself, to none.
        """
        if split is None:
            return np.ones(window.shape, bool)
        return np.isin(self.splits_of(window), split_numbers(split, self.split_names))

    def splits_of(self, window: Window) -> np.ndarray:
        """Numbers of the splits of a window's pixels, (h,w) int8, -1 for none."""
        return np.full(window.shape, -1, np.int8) if self.pixel_splits is None else self.pixel_splits(window)

    def occupied(self, windows: Sequence[Window], split: SplitNames = None) -> np.ndarray:
        """Which windows have a labelled pixel, (N,) bool."""
        return np.array([(self.read(window, split) != IGNORED).any() for window in windows], bool)

    def pixels(self, progress: Progress | None = None) -> LabelPixels:
        """All pixels with a class of `classes`, whatever their split; without a class column those of all features."""
        raise NotImplementedError


class ItemLabels(SceneLabels):
    """Labels that belong to features, the polygons or points of a vector file.

    Which pixels a polygon has is decided by their centres, and only with `all_touched` beyond these. A pixel that lies
    in several polygons of one class is the first one's in the order of the file; one that lies in polygons of different
    classes has no label. With `all_touched` pixels are added at the outlines, where no polygon holds the centre.

    Args:
        path: the file, named in messages.
        grid: the scene's grid.
        frame: features as :func:`read_vector` gives them.
        names: class of each feature, N texts, None for one without.
        all_touched: polygons have every pixel that they touch.
        inner_buffer: metres by which polygons shrink on all sides first.
        min_area: least area in m² of a polygon, behind the inner buffer.

    Attributes:
        frame: the features as they stand in the file, in the grid's CRS.
        names: class of each feature.
        labels: class index of each feature, (N,) uint8, 255 where its class is not among `classes`.
        unlabelled: no feature has a class, as none was asked for.
        positions: a point within each feature, in pixel coordinates (column, row), (N,2) float64.
        geometry: of each polygon behind the inner buffer: perimeter m, area m², their ratio, (N,3) float64.
        item_splits: number of each feature's split, (N,) int8, -1 for none; set by `splits`.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        frame: GeoDataFrame,
        names: list[str | None],
        all_touched: bool = False,
        inner_buffer: float = 0.0,
        min_area: float = 0.0,
    ) -> None:
        import shapely

        self.path, self.grid, self.frame, self.names = path, grid, frame, names
        self.kind = 'polygons' if frame.geometry.geom_type.isin(['Polygon', 'MultiPolygon']).all() else 'points'
        self.all_touched = all_touched
        if self.kind == 'points' and (all_touched or inner_buffer or min_area):
            raise DataError(
                'all_touched, inner_buffer and min_area are for polygons, the file holds points',
                path=path,
                hint='Leave them out of labels.',
            )
        known = sorted({name for name in names if name is not None})
        order = {name: number for number, name in enumerate(known)}
        self._codes = np.array([order.get(name, -1) if name is not None else -1 for name in names], np.int32)
        own = frame.geometry.to_numpy()
        self.positions = shapely.get_coordinates(to_pixels(shapely.point_on_surface(own), grid)).reshape(-1, 2)
        shrunk = self._shrink(inner_buffer, min_area) if self.kind == 'polygons' else own
        self._shapes = to_pixels(shrunk, grid)
        self._tree = shapely.STRtree(self._shapes)
        self.classes, self.palette = (), []
        self.unlabelled = not known
        self.labels = np.full(len(frame), IGNORED, np.uint8)
        self.item_splits: np.ndarray | None = None
        # Polygons that share ground with others: only for these has to be asked whether classes agree.
        self._contested = np.zeros(len(frame), bool)
        if self.kind == 'polygons':
            self._find_overlaps()
        else:
            self._locate_points()

    def _shrink(self, inner_buffer: float, min_area: float) -> np.ndarray:
        """The polygons behind the inner buffer; empty ones for those that are too small. Sets `geometry`."""
        import shapely

        if inner_buffer < 0 or min_area < 0:
            raise ValueError(f'inner_buffer and min_area must not be negative, got {inner_buffer} and {min_area}')
        metric = metric_crs(self.frame)
        series = self.frame.geometry.to_crs(metric.to_wkt())
        if inner_buffer:
            series = series.buffer(-inner_buffer)
        self.geometry = shape_features(series)
        gone = series.is_empty.to_numpy() | (self.geometry[:, 1] < min_area)
        if gone.any():
            print_log(
                f'{self.path.name}: {gone.sum()} of {len(gone)} polygons are smaller than min_area={min_area:g} m² or '
                f'have no inside beyond inner_buffer={inner_buffer:g} m, and are left out',
                'current',
                logging.INFO,
            )
        shrunk = self.frame.geometry if not inner_buffer else series.to_crs(self.frame.crs)
        return np.where(gone, shapely.Polygon(), shrunk.to_numpy())

    def _find_overlaps(self) -> None:
        """Mark polygons that cover the same ground, and warn where it is more than half a pixel."""
        import shapely

        one, other = self._tree.query(self._shapes, predicate='overlaps')
        inner, outer = self._tree.query(self._shapes, predicate='covered_by')
        pairs = np.concatenate([np.stack([one, other], 1), np.stack([inner, outer], 1)])
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        if not len(pairs):
            return
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        self._contested[pairs] = True
        shared = shapely.area(shapely.intersection(self._shapes[pairs[:, 0]], self._shapes[pairs[:, 1]]))
        pairs = pairs[shared > 0.5]
        if not len(pairs):
            return
        conflicts = int((self._codes[pairs[:, 0]] != self._codes[pairs[:, 1]]).sum())
        ids = self.frame['feature_id'].to_numpy()
        print_log(
            f'{self.path.name}: {len(pairs)} pairs of polygons overlap (the first: {ids[pairs[0, 0]]} and '
            f'{ids[pairs[0, 1]]}). Where they are of one class the first in the file has the pixels; in the '
            f'{conflicts} pairs of different classes the shared pixels have no label',
            'current',
            logging.WARNING,
        )

    def _locate_points(self) -> None:
        """Find the pixel of each point, in ascending order, and drop the label of pixels with two classes."""
        import shapely

        coordinates, features = shapely.get_coordinates(self._shapes, return_index=True)
        pixels = np.floor(coordinates).astype(np.int64)
        inside = ((pixels >= 0) & (pixels < [self.grid.width, self.grid.height])).all(axis=1)
        if not inside.any():
            raise DataError('no point lies in the scene', path=self.path, hint='Check the CRS of the file.')
        flat, features = pixels[inside, 1] * self.grid.width + pixels[inside, 0], features[inside]
        self._point_pixels, first, which = np.unique(flat, return_index=True, return_inverse=True)
        self._point_owners = features[first].astype(np.int32)
        codes = self._codes[features]
        low = np.full(len(first), np.iinfo(np.int32).max)
        high = np.full(len(first), -2)
        np.minimum.at(low, which, codes)
        np.maximum.at(high, which, codes)
        disputed = low != high
        self._point_owners[disputed] = DISPUTED
        shared = len(flat) - len(first)
        if shared:
            row, column = divmod(int(self._point_pixels[disputed][0]) if disputed.any() else 0, self.grid.width)
            where = f' (the first at row {row}, column {column})' if disputed.any() else ''
            print_log(
                f'{self.path.name}: {shared} points lie in a pixel that another one has. Of one class they count once; '
                f'{disputed.sum()} pixels with points of different classes{where} have no label',
                'current',
                logging.WARNING if disputed.any() else logging.INFO,
            )

    def owners(self, window: Window) -> np.ndarray:
        """Which feature each pixel belongs to.

        Args:
            window: within the grid.

        Returns:
            (h,w) int32, numbers of features, `NOBODY` (-1) or `DISPUTED` (-2).
        """
        if self.kind == 'points':
            return self._point_map(window)
        owners = self._burn(window, False)
        if not self.all_touched:
            return owners
        return np.where(owners == NOBODY, self._burn(window, True), owners)

    def _point_map(self, window: Window) -> np.ndarray:
        owners = np.full(window.shape, NOBODY, np.int32)
        first, last = np.searchsorted(
            self._point_pixels, [window.row * self.grid.width, (window.row + window.height) * self.grid.width]
        )
        rows, columns = np.divmod(self._point_pixels[first:last], self.grid.width)
        inside = (columns >= window.column) & (columns < window.column + window.width)
        owners[rows[inside] - window.row, columns[inside] - window.column] = self._point_owners[first:last][inside]
        return owners

    def _near(self, window: Window) -> np.ndarray:
        """Features whose extent touches a window, in the order of the file."""
        import shapely

        box = shapely.box(window.column, window.row, window.column + window.width, window.row + window.height)
        return np.sort(self._tree.query(box))

    def _burn(self, window: Window, all_touched: bool) -> np.ndarray:
        """Owners of the pixels of a window by one rule of rasterisation."""
        near = self._near(window)
        if not len(near):
            return np.full(window.shape, NOBODY, np.int32)
        # What is burnt later stays: from the last to the first feature of the file, so that the first has the pixel.
        first = self._rasterize(near[::-1], near[::-1], window, all_touched)
        # A pixel may be touched by neighbours that share no ground.
        contested = near if all_touched else near[self._contested[near]]
        if not len(contested):
            return first
        ascending = contested[np.argsort(self._codes[contested], kind='stable')]
        highest = self._rasterize(ascending, self._codes[ascending], window, all_touched)
        lowest = self._rasterize(ascending[::-1], self._codes[ascending[::-1]], window, all_touched)
        return np.where(highest != lowest, DISPUTED, first)

    def _rasterize(self, features: np.ndarray, values: np.ndarray, window: Window, all_touched: bool) -> np.ndarray:
        """Burn features one after the other, `NOBODY` where there is none; (h,w) int32."""
        from affine import Affine
        from rasterio.features import rasterize

        # Raised above 0. Class -1 ("no class") becomes the background's number, which does no harm: what counts is only
        # whether the highest and the lowest class of a pixel differ.
        shapes = [(self._shapes[feature], int(value) + 2) for feature, value in zip(features, values, strict=True)]
        burnt = rasterize(
            shapes,
            out_shape=window.shape,
            transform=Affine.translation(window.column, window.row),
            fill=NOBODY + 2,
            dtype='int32',
            all_touched=all_touched,
        )
        return burnt - 2

    def set_classes(self, classes: Sequence[str] | None) -> None:
        """Choose the classes; see :func:`read_labels`."""
        counts = Counter(name for name in self.names if name is not None)
        if self.unlabelled:
            self.classes = tuple(str(name) for name in classes or ())
            self.palette = [list(colour) for colour in palette_of(self.classes)]
            return
        self.classes = _choose_classes(classes, counts, self.path)
        self.palette = [list(colour) for colour in palette_of(self.classes)]
        index = {name: number for number, name in enumerate(self.classes)}
        self.labels = np.array([IGNORED if name is None else index.get(name, IGNORED) for name in self.names], np.uint8)
        what = 'polygons' if self.kind == 'polygons' else 'points'
        _report_others(self.path, {name: n for name, n in counts.items() if name not in index}, what)

    def members(self, split: SplitNames = None) -> np.ndarray:
        """Which features have a class of `classes` (or are unlabelled, all) and belong to a split, (N,) bool."""
        members = (self.labels != IGNORED) | self.unlabelled
        if split is not None:
            members &= np.isin(self.item_splits, split_numbers(split, self.split_names))  # type: ignore[arg-type]
        return members

    def read(self, window: Window, split: SplitNames = None) -> np.ndarray:
        """See :class:`SceneLabels`; a feature's pixels are all of its split."""
        labels = np.where(self.members(split), self.labels, IGNORED).astype(np.uint8)
        owners = self.owners(window)
        return np.where(owners >= 0, labels[np.maximum(owners, 0)], IGNORED).astype(np.uint8)

    def splits_of(self, window: Window) -> np.ndarray:
        """See :class:`SceneLabels`; a feature's pixels are all of its split, also beyond a block's edge."""
        ground = super().splits_of(window)
        if self.item_splits is None:
            return ground
        owners = self.owners(window)
        return np.where(owners >= 0, self.item_splits[np.maximum(owners, 0)], ground).astype(np.int8)

    def occupied(self, windows: Sequence[Window], split: SplitNames = None) -> np.ndarray:
        """See :class:`SceneLabels`; windows near a member that hold no certain pixel of one are looked at closely."""
        members = self.members(split)
        certain = np.floor(self.positions[members & self._own_position()])
        found = np.zeros(len(windows), bool)
        for number, window in enumerate(windows):
            inside = certain - (window.column, window.row)
            found[number] = ((inside >= 0) & (inside < (window.width, window.height))).all(axis=1).any()
            if not found[number] and members[self._near(window)].any():
                found[number] = (self.read(window, split) != IGNORED).any()
        return found

    def _own_position(self) -> np.ndarray:
        """Features to which the pixel at their position belongs without doubt, (N,) bool."""
        import shapely

        if self.kind == 'points':
            return np.zeros(len(self.labels), bool)
        centres = np.floor(self.positions) + 0.5
        return shapely.contains_xy(self._shapes, centres[:, 0], centres[:, 1]) & ~self._contested

    def pixels(self, progress: Progress | None = None) -> LabelPixels:
        """See :class:`SceneLabels`."""
        windows = list(block_windows(self.grid.height, self.grid.width, BLOCK))
        listed, width, size = self.members(), self.grid.width, self.grid.height * self.grid.width
        found = [np.zeros(0, np.int64)]
        for number, window in enumerate(windows):
            if self._near(window).size:
                owners = self.owners(window)
                rows, columns = np.nonzero((owners >= 0) & listed[np.maximum(owners, 0)])
                # Feature and place as one number, which sorts as wanted.
                flat = (rows + window.row) * width + columns + window.column
                found.append(owners[rows, columns] * np.int64(size) + flat)
            if progress is not None:
                progress(number + 1, len(windows))
        keys = np.concatenate(found)
        del found
        keys.sort()
        owner = (keys // size).astype(np.int32)
        keys %= size
        features, first = np.unique(owner, return_index=True)
        offsets = np.append(first, len(keys)).astype(np.int64)
        return LabelPixels(
            features.astype(np.int64),
            offsets,
            (keys // width).astype(np.int32),
            (keys % width).astype(np.int32),
            self.labels[features],
            np.full(len(features), -1, np.int8) if self.item_splits is None else self.item_splits[features],
        )


def shape_features(polygons: GeoSeries) -> np.ndarray:
    """What TimeMatch knows of the shape of parcels.

    Args:
        polygons: in a CRS of metres.

    Returns:
        Perimeter m, area m² and their quotient, (N,3) float64; NaN as quotient of an empty polygon.
    """
    area, perimeter = polygons.area.to_numpy(), polygons.length.to_numpy()
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.stack([perimeter, area, perimeter / area], axis=1)


class RasterLabels(SceneLabels):
    """A raster of class codes, brought to the scene's grid by the nearest pixel where it has another.

    Args:
        path: the file.
        grid: the scene's grid.
        band: band of the file, from 1.
        nodata: code that means 'no label'; None for the file's own.

    Attributes:
        counts: code to the number of its pixels in the scene, without nodata.

    Raises:
        DataError: if the file is missing or not readable, has no CRS, lies outside the scene, its codes are no
            integers, or it holds no label.
    """

    kind = 'raster'

    def __init__(self, path: Path, grid: Grid, band: int = 1, nodata: float | None = None) -> None:
        self.path, self.grid, self.band = path, grid, band
        self._check()
        self._nodata = self._own_nodata if nodata is None else nodata
        self.classes, self.palette = (), []
        self._label_of: dict[int, int] = {}
        self.counts: Counter[int] = Counter()
        for window in block_windows(grid.height, grid.width, BLOCK):
            codes, known = self.codes(window)
            self.counts.update(
                dict(zip(*(a.tolist() for a in np.unique(codes[known], return_counts=True)), strict=True))
            )
        if not self.counts:
            raise DataError('no pixel of the scene has a label', path=path, hint='Check nodata and extent of the file.')

    def _check(self) -> None:
        import rasterio

        if not self.path.exists():
            raise DataError('the label raster is missing', path=self.path, hint='Correct the path.')
        try:
            with rasterio.open(self.path) as file:
                own = Grid(file.crs, file.transform, file.height, file.width)
                bands, kind = file.count, np.dtype(file.dtypes[min(self.band, file.count) - 1]).kind
                self._colours, self._own_nodata = _colour_table(file, self.band), file.nodata
                self._own_names = _class_tags(file, self.band)
        except rasterio.errors.RasterioError as error:
            raise DataError(f'not a readable raster ({error})', path=self.path, hint='Write it again.') from error
        if own.crs is None:
            raise DataError(
                'the label raster names no coordinate reference system',
                path=self.path,
                hint='Assign it (gdal_edit.py -a_srs EPSG:…).',
            )
        if not 1 <= self.band <= bands or kind not in 'iuf':
            raise DataError(
                f'band {self.band} of numbers is expected, the file has {bands} bands ({kind})',
                path=self.path,
                hint='Choose another band.',
            )
        self._offset = self.grid.offset_of(own)
        if not own.overlaps(self.grid):
            raise DataError(
                f'the label raster does not overlap the scene: {own.bounds} in {own.crs.to_string()[:60]}',
                path=self.path,
                hint='Give labels of the same place.',
            )

    def codes(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Codes of a window's pixels.

        Returns:
            (h,w) int64 codes, and (h,w) bool, where there is one.

        Raises:
            DataError: if the file cannot be read or a code is no integer; names the first such pixel.
        """
        import rasterio

        try:
            with rasterio.open(self.path) as file:
                values, known = self._read_plain(file, window) if self._offset else self._read_warped(file, window)
        except rasterio.errors.RasterioError as error:
            raise DataError(f'the labels cannot be read ({error})', path=self.path, hint='Write it again.') from error
        if self._nodata is not None:
            known &= values != self._nodata
        if values.dtype.kind == 'f':
            known &= np.isfinite(values)
            broken = known & (values != np.round(values))
            if broken.any():
                row, column = np.argwhere(broken)[0]
                raise DataError(
                    f'class codes must be integers, found {values[row, column]} at row {row + window.row}, '
                    f'column {column + window.column}',
                    path=self.path,
                    hint='Give a raster of class codes.',
                )
        return np.where(known, values, 0).astype(np.int64), known

    def _read_plain(self, file: Any, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """The file's own pixels, which are the grid's; beyond the file 0 and not known."""
        assert self._offset is not None
        moved = window._replace(row=window.row - self._offset[0], column=window.column - self._offset[1])
        shared = moved.intersection(Window(0, 0, file.height, file.width))
        values = np.zeros(window.shape, file.dtypes[self.band - 1])
        known = np.zeros(window.shape, bool)
        if 0 not in shared.shape:
            inside = shared.within(moved).slices
            rows, columns = shared.slices
            values[inside] = file.read(self.band, window=((rows.start, rows.stop), (columns.start, columns.stop)))
            known[inside] = True
        return values, known

    def _read_warped(self, file: Any, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of the file that are nearest to those of the grid."""
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        grid = self.grid
        options = dict(crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width)
        # A band more says where the file reaches. The tolerance is in pixels: places are interpolated to save time.
        options |= dict(resampling=Resampling.nearest, tolerance=0.01, src_nodata=None, add_alpha=True)
        rows, columns = window.slices
        with WarpedVRT(file, **options) as warped:
            read = warped.read(
                [self.band, warped.count], window=((rows.start, rows.stop), (columns.start, columns.stop))
            )
        return read[0], read[1] != 0

    def set_classes(self, classes: Sequence[str] | None, table: Mapping[Any, str] | None) -> None:
        """Choose the classes; see :func:`read_labels`."""
        names = self._names(classes, table)
        counts: Counter[str] = Counter()
        for code, count in self.counts.items():
            counts[names.get(code, f'code {code}')] += count
        if classes is None and (table is not None or self._own_names):
            # Codes without a name are ignored, as if the classes had been given.
            classes = sorted({names[code] for code in self.counts if code in names})
            if not classes:
                raise DataError(
                    f'no code of the table (or of the tags class_0 …) occurs in the raster, which has '
                    f'{sorted(self.counts)[:12]}',
                    path=self.path,
                    hint='Correct the table of labels.',
                )
        self.classes = _choose_classes(classes, counts, self.path)
        index = {name: number for number, name in enumerate(self.classes)}
        self._label_of = {code: index[name] for code, name in names.items() if name in index}
        self.palette = self._palette(names)
        _report_others(self.path, {name: n for name, n in counts.items() if name not in index}, 'pixels')

    def _names(self, classes: Sequence[str] | None, table: Mapping[Any, str] | None) -> dict[int, str]:
        """Code to class name."""
        if table is not None:
            return {int(code_text(code)): str(name) for code, name in table.items()}
        if self._own_names:
            return self._own_names
        if classes is None:
            return {code: str(code) for code in self.counts}
        beyond = sorted(code for code in self.counts if not 0 <= code < len(classes))
        if beyond:
            raise DataError(
                f'without a table, code i is class i: 0 … {len(classes) - 1}; the raster has codes {beyond[:8]} too',
                path=self.path,
                hint='Say which code is which class: table={code: class} in labels, nodata=… for "no label".',
            )
        return dict(enumerate(classes))

    def _palette(self, names: Mapping[int, str]) -> list[list[int]]:
        """Colours of the file where it has a colour table, else the library's."""
        code_of = {name: code for code, name in reversed(list(names.items()))}
        own = [self._colours.get(code_of.get(name, -1)) for name in self.classes]
        others = palette_of(self.classes)
        return [list(colour or other) for colour, other in zip(own, others, strict=True)]

    def read(self, window: Window, split: SplitNames = None) -> np.ndarray:
        """See :class:`SceneLabels`."""
        codes, known = self.codes(window)
        found, which = np.unique(codes, return_inverse=True)
        labels = np.array([self._label_of.get(code, IGNORED) for code in found.tolist()], np.uint8)
        labels = np.where(known, labels[which.reshape(codes.shape)], IGNORED).astype(np.uint8)
        if split is not None:
            labels[~self.part(window, split)] = IGNORED
        return labels

    def pixels(self, progress: Progress | None = None) -> LabelPixels:
        """See :class:`SceneLabels`."""
        windows = list(block_windows(self.grid.height, self.grid.width, BLOCK))
        found = []
        for number, window in enumerate(windows):
            labels, splits = self.read(window), self.splits_of(window)
            rows, columns = np.nonzero(labels != IGNORED)
            found.append((rows + window.row, columns + window.column, labels[rows, columns], splits[rows, columns]))
            if progress is not None:
                progress(number + 1, len(windows))
        all_rows, all_columns, all_labels, all_splits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((all_columns, all_rows))
        return LabelPixels(
            np.arange(len(order)),
            np.arange(len(order) + 1),
            all_rows[order].astype(np.int32),
            all_columns[order].astype(np.int32),
            all_labels[order],
            all_splits[order],
        )


def _colour_table(file: Any, band: int) -> dict[int, tuple[int, int, int]]:
    try:
        return {code: colour[:3] for code, colour in file.colormap(band).items()}
    except (ValueError, IndexError):
        return {}


def _class_tags(file: Any, band: int) -> dict[int, str]:
    """Code to name where a band's tags class_0 … tell it, as they do in our own maps."""
    if not 1 <= band <= file.count:
        return {}
    found = {key.partition('_')[2]: name for key, name in file.tags(band).items() if key.startswith('class_')}
    return {int(code): name for code, name in found.items() if code.isdigit()}


def _choose_classes(classes: Sequence[str] | None, counts: Mapping[str, int], path: Path) -> tuple[str, ...]:
    """The classes that were asked for, or those that occur, in the order of numbers, then of the alphabet."""
    if classes is None:
        chosen = tuple(sorted(counts, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name)))
    else:
        chosen = tuple(str(name) for name in classes)
        if not any(name in counts for name in chosen):
            raise DataError(
                f'none of the classes {list(chosen)} occurs in the scene, which has {sorted(counts)[:20]}',
                path=path,
                hint='Correct classes, or give a table={code: class} in labels.',
            )
    if not chosen:
        raise DataError('no feature has a class', path=path, hint='Fill the class column.')
    if len(chosen) > MOST_CLASSES:
        raise DataError(
            f'{len(chosen)} classes, {MOST_CLASSES} at most are possible',
            path=path,
            hint='Choose some by classes=…, or join them by table={code: class} in labels.',
        )
    repeated = sorted(name for name, count in Counter(chosen).items() if count > 1)
    if repeated:
        raise ValueError(f'classes: {repeated} are named twice')
    return chosen


def _report_others(path: Path, others: Mapping[str, int], what: str) -> None:
    if others:
        listed = ', '.join(f'{name} ({count})' for name, count in sorted(others.items(), key=lambda pair: -pair[1]))
        print_log(
            f'{path.name}: {what} of other classes are neither trained nor scored: {listed}', 'current', logging.INFO
        )


def split_numbers(split: str | Sequence[str], names: Sequence[str]) -> list[int]:
    """Positions of one or several splits among those that there are.

    Raises:
        ValueError: if one does not exist; lists those that do.
    """
    wanted = [split] if isinstance(split, str) else list(split)
    unknown = [name for name in wanted if name not in names]
    if unknown and not names:
        raise ValueError(f'split={split!r} was asked for, but no splits are given: splits=dict(type=…)')
    if unknown:
        raise ValueError(f'there is no split {unknown}; there are {list(names)}')
    return [names.index(name) for name in wanted]


def read_labels(
    file: str | Path,
    grid: Grid,
    *,
    data_root: str | Path = '',
    classes: Sequence[str] | None = None,
    column: str | None = None,
    table: Mapping[Any, str] | None = None,
    nulls: str = 'raise',
    band: int | None = None,
    nodata: float | None = None,
    layer: str | None = None,
    id_column: str | None = None,
    all_touched: bool = False,
    inner_buffer: float = 0.0,
    min_area: float = 0.0,
    repair: bool = False,
) -> ItemLabels | RasterLabels:
    """Open the labels of a scene.

    Args:
        file: a raster of class codes (GeoTIFF …), or polygons or points (GeoPackage, shapefile, GeoParquet …).
        grid: the scene's grid.
        data_root: folder that `file` starts from.
        classes: names of the classes, in their order; labels of others are ignored, with a note. None for those that
            occur in the scene, in alphabetical order.
        column: vector files: column with the class. None where no label is wanted, as in the unlabelled domain of an
            adaptation: the features are there, and their pixels, without one.
        table: code to name of the class, for codes in the raster or in the column; codes that it lacks are ignored,
            with a note. Without it the texts of the column are the names; of a raster code i is what its tag class_i
            says (our own maps have them), or, where it has no such tags, class i of `classes`.
        nulls: 'raise', or 'ignore' features without a class.
        band: rasters: band with the codes, from 1 (the default).
        nodata: rasters: code that means 'no label'; None for the file's own.
        layer: vector files: the layer, where there are several.
        id_column: vector files: see :func:`read_vector`.
        all_touched: see :class:`ItemLabels`.
        inner_buffer: see :class:`ItemLabels`; metres.
        min_area: see :class:`ItemLabels`; m².
        repair: see :func:`read_vector`.

    Returns:
        The labels.

    Raises:
        DataError: see :class:`RasterLabels` and :func:`read_vector`; and if the column does not exist or has no entry.
        ValueError: if an option makes no sense.
    """
    path = Path(data_root) / file
    if path.suffix.lower() in _RASTERS:
        vector: dict[str, Any] = dict(column=column, layer=layer, id_column=id_column, all_touched=all_touched or None)
        vector |= dict(inner_buffer=inner_buffer or None, min_area=min_area or None, repair=repair or None)
        _refuse_options({name for name, value in vector.items() if value is not None}, 'vector file', path)
        raster = RasterLabels(path, grid, 1 if band is None else band, nodata)
        raster.set_classes(classes, table)
        return raster
    _refuse_options(
        {name for name, value in dict(band=band, nodata=nodata).items() if value is not None}, 'raster', path
    )
    frame = read_vector(path, grid, layer=layer, id_column=id_column, repair=repair)
    names = _class_names(frame, column, table, nulls, path)
    items = ItemLabels(path, grid, frame, names, all_touched, inner_buffer, min_area)
    items.set_classes(classes)
    return items


def _refuse_options(names: set[str], kind: str, path: Path) -> None:
    if names:
        raise ValueError(f'labels: {sorted(names)} are for a {kind}, and {path.name} is none')


def _class_names(
    frame: GeoDataFrame, column: str | None, table: Mapping[Any, str] | None, nulls: str, path: Path
) -> list[str | None]:
    """Class of each feature."""
    if nulls not in ('raise', 'ignore'):
        raise ValueError(f"labels: nulls must be 'raise' or 'ignore', got {nulls!r}")
    if column is None:
        return [None] * len(frame)
    if column not in frame.columns:
        raise missing_column('class', column, frame, path)
    texts = texts_of(frame[column].tolist())
    empty = [number for number, text in enumerate(texts) if text is None]
    if len(empty) == len(texts) or (empty and nulls == 'raise'):
        listed = ', '.join(frame['feature_id'].iloc[empty[:5]])
        raise DataError(
            f'{len(empty)} of {len(texts)} features have no entry in the class column {column!r} '
            f'({listed}{" …" if len(empty) > 5 else ""})',
            path=path,
            hint="Give them a class, or leave them out: nulls='ignore' in labels.",
        )
    if table is None:
        return texts
    names = {code_text(code): str(name) for code, name in table.items()}
    others = Counter(text for text in texts if text is not None and text not in names)
    if len(others) == len(set(texts) - {None}):
        raise DataError(
            f'no code of the table occurs in column {column!r}, which has {sorted(others)[:12]}',
            path=path,
            hint='Correct the table of labels.',
        )
    _report_others(path, others, 'features')
    return [None if text is None else names.get(text) for text in texts]
