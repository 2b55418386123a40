"""Parts of a scene for training, validation and test: by a column, by polygons, by spatial blocks or at random.

A feature (parcel, point) belongs to one split with all its pixels: that of its column, or of the place of a point
within it. The pixels of a label raster belong to the split of their centre. The division depends on the label file and
on the grid, not on which classes or which kind of samples are made of it, so that dense, parcel and pixel models are
trained and tested on the same ground.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from ..counter_random import random_fractions
from ..errors import DataError
from .grid import Grid, Window, block_windows
from .labels import BLOCK, IGNORED, ItemLabels, LabelPixels, RasterLabels, read_labels
from .vectors import missing_column, read_vector, texts_of, to_pixels

NO_SPLIT = -1


def open_labels(
    labels: Mapping[str, Any],
    grid: Grid,
    data_root: str | Path = '',
    classes: Sequence[str] | None = None,
    splits: Mapping[str, Any] | None = None,
) -> ItemLabels | RasterLabels:
    """Open the labels of a scene and divide them into splits.

    Args:
        labels: arguments of :func:`read_labels` apart from grid, data_root and classes.
        grid: the scene's grid.
        data_root: folder that files start from.
        classes: see :func:`read_labels`.
        splits: `dict(type='column', …)`, arguments of :func:`split_by_column`; or 'vector', 'blocks', 'random'
            likewise. None for no division.

    Returns:
        The labels, which know their splits.

    Raises:
        DataError: see these functions.
        ValueError: for a division of unknown type or arguments that it does not take.
    """
    try:
        opened = read_labels(**labels, grid=grid, data_root=data_root, classes=classes)
    except TypeError as error:
        raise ValueError(f'labels: {error}') from error
    if splits is None:
        return opened
    options = dict(splits)
    name = options.pop('type', None)
    if name not in _DIVISIONS:
        raise ValueError(f'splits: type must be one of {sorted(_DIVISIONS)}, got {name!r}')
    if 'file' in options or 'files' in options:
        options['data_root'] = data_root
    try:
        _DIVISIONS[name](opened, **options)
    except TypeError as error:
        raise ValueError(f'splits of type {name!r}: {error}') from error
    return opened


def split_by_column(
    labels: ItemLabels | RasterLabels, column: str = 'split', names: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Divide features by a column of their file.

    Args:
        labels: vector labels.
        column: name of the column.
        names: split to the entries of the column that belong to it; None: each entry is a split of its name. Features
            with other entries or none are in no split.

    Raises:
        DataError: if the labels are a raster, the column does not exist, or a split has no feature.
    """
    if isinstance(labels, RasterLabels):
        raise DataError(
            'a label raster has no columns',
            path=labels.path,
            hint="Divide it by polygons (type='vector') or by blocks (type='blocks').",
        )
    if column not in labels.frame.columns:
        raise missing_column('split', column, labels.frame, labels.path)
    texts = texts_of(labels.frame[column].tolist())
    held = sorted({text for text in texts if text is not None})
    wanted: dict[str, list[Any]] = {name: [name] for name in held}
    if names is not None:
        wanted = {name: texts_of(_listed(entries)) for name, entries in names.items()}
    empty = [name for name, entries in wanted.items() if not set(held) & set(entries)]
    if empty or not wanted:
        raise DataError(
            f'no feature is of the splits {empty}; column {column!r} holds {held}',
            path=labels.path,
            hint='Correct names in splits.',
        )
    number = {entry: index for index, entries in enumerate(wanted.values()) for entry in entries}
    labels.split_names = tuple(wanted)
    labels.item_splits = np.array([number.get(text, NO_SPLIT) for text in texts], np.int8)


def _listed(entries: Any) -> list[Any]:
    return [entries] if isinstance(entries, str) or not isinstance(entries, Sequence) else list(entries)


def split_by_polygons(
    labels: ItemLabels | RasterLabels,
    file: str | Path | None = None,
    column: str = 'split',
    files: Mapping[str, str | Path] | None = None,
    layer: str | None = None,
    data_root: str | Path = '',
) -> None:
    """Divide by the polygons of one vector file with a column, or of one file for each split.

    What lies in none of the polygons is in no split; what lies in those of several is in the one named first.

    Args:
        labels: of any kind.
        file: polygons of all splits.
        column: its column with the names of the splits.
        files: instead of these, split to the file with its polygons.
        layer: layer of the file, where it has several.
        data_root: folder that files start from.

    Raises:
        DataError: if a file cannot be used (see :func:`read_vector`), holds points, or lacks the column.
        ValueError: if not either `file` or `files` is given.
    """
    if (file is None) == (files is None):
        raise ValueError("splits of type 'vector': give file (with column), or files (one for each split)")
    found: dict[str, list[Any]] = {}
    sources: dict[str, Any] = {'': file} if files is None else dict(files)
    for name, path in sources.items():
        full = Path(data_root) / str(path)
        frame = read_vector(full, labels.grid, layer=layer)
        if not frame.geometry.geom_type.isin(['Polygon', 'MultiPolygon']).all():
            raise DataError('polygons are needed to divide a scene', path=full, hint='Give a file of polygons.')
        if files is None and column not in frame.columns:
            raise missing_column('split', column, frame, full)
        texts = [name] * len(frame) if files is not None else texts_of(frame[column].tolist())
        for text, shape in zip(texts, to_pixels(frame.geometry.to_numpy(), labels.grid), strict=True):
            if text is not None:
                found.setdefault(text, []).append(shape)
    _apply(labels, tuple(found), _SplitPolygons(list(found.values())))


class _SplitPolygons:
    """Split of places and windows by polygons in pixel coordinates, one list for each split."""

    def __init__(self, shapes: Sequence[Sequence[Any]]) -> None:
        import shapely

        self.shapes = [shape for group in shapes for shape in group]
        self.numbers = np.repeat(np.arange(len(shapes)), [len(group) for group in shapes])
        self.tree = shapely.STRtree(self.shapes)

    def of_places(self, places: np.ndarray) -> np.ndarray:
        """Split of places (N,2) in pixel coordinates, (N,) int8."""
        import shapely

        place, polygon = self.tree.query(shapely.points(places), predicate='intersects')
        found = np.full(len(places), len(self.shapes), np.int64)
        np.minimum.at(found, place, polygon)
        several = np.bincount(place, minlength=1).max(initial=0) > 1
        if several and len(np.unique(np.stack([place, self.numbers[polygon]], 1), axis=0)) > len(np.unique(place)):
            print_log('splits: polygons of different splits overlap; the first has what lies in both', 'current', 30)
        return np.append(self.numbers, NO_SPLIT)[found].astype(np.int8)

    def __call__(self, window: Window) -> np.ndarray:
        """Split of a window's pixels, (h,w) int8."""
        from affine import Affine
        from rasterio.features import rasterize

        order = range(len(self.shapes) - 1, -1, -1)  # what is burnt later stays
        burnt = rasterize(
            [(self.shapes[number], int(self.numbers[number]) + 1) for number in order],
            out_shape=window.shape,
            transform=Affine.translation(window.column, window.row),
            dtype='int16',
        )
        return (burnt - 1).astype(np.int8)


def split_by_blocks(labels: ItemLabels | RasterLabels, size: float, shares: Mapping[str, float], seed: int = 0) -> None:
    """Divide the scene into square blocks and share them out, so that what is near each other stays together.

    Blocks are counted from the grid's upper left corner. Those that hold labels are shared out by iterative
    stratification (Sechidis, Tsoumakas & Vlahavas, On the stratification of multi-label data, ECML PKDD 2011): block by
    block, rarest class first, to the split that lacks most of it; before a class runs out, splits that have none of it
    come first. A function of the labels' places and classes, the size, the shares and the seed.

    Args:
        labels: of any kind.
        size: side of a block, metres.
        shares: split to its share of features (a raster: of labelled pixels), with sum 1.
        seed: of the order of blocks.

    Raises:
        DataError: if fewer blocks hold labels than there are splits.
        ValueError: if size or shares make no sense.
    """
    names = _check_shares(shares)
    if not size > 0:
        raise ValueError(f'splits: size must be above 0 metres, got {size}')
    blocks = _Blocks(labels.grid, size)
    counts = _count_in_blocks(labels, blocks)
    held = np.flatnonzero(counts.sum(axis=1))
    if len(held) < len(names):
        raise DataError(
            f'labels lie in {len(held)} blocks of {size:g} m, {len(names)} splits need one each at least',
            path=labels.path,
            hint='Choose a smaller size in splits.',
        )
    blocks.splits = np.full(len(counts), NO_SPLIT, np.int8)
    blocks.splits[held] = share_out(counts[held], list(shares.values()), seed)
    _apply(labels, names, blocks)


class _Blocks:
    """Split of places and windows by blocks."""

    def __init__(self, grid: Grid, size: float) -> None:
        # At most as large as the scene: more would not change anything.
        across, along = metres_per_pixel(grid)
        self.width, self.height = max(size / across, 1.0), max(size / along, 1.0)
        self.per_row = int(np.ceil(grid.width / self.width))
        self.count = self.per_row * int(np.ceil(grid.height / self.height))
        self.limits = (grid.width, grid.height)
        self.splits = np.full(self.count, NO_SPLIT, np.int8)

    def numbers(self, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Block of places in pixel coordinates, those beyond the grid in the nearest."""
        columns = np.clip(columns, 0, self.limits[0] - 1e-6)
        rows = np.clip(rows, 0, self.limits[1] - 1e-6)
        return (rows // self.height).astype(np.int64) * self.per_row + (columns // self.width).astype(np.int64)

    def of_window(self, window: Window) -> np.ndarray:
        """Block of each pixel of a window, (h,w)."""
        columns = window.column + np.arange(window.width) + 0.5
        rows = window.row + np.arange(window.height) + 0.5
        return self.numbers(columns[None], rows[:, None])

    def of_places(self, places: np.ndarray) -> np.ndarray:
        return self.splits[self.numbers(places[:, 0], places[:, 1])]

    def __call__(self, window: Window) -> np.ndarray:
        return self.splits[self.of_window(window)]


def metres_per_pixel(grid: Grid) -> tuple[float, float]:
    """Length on the ground of a pixel in the middle of a grid, along a row and along a column, in metres.

    Args:
        grid: in whatever CRS.
    """
    from pyproj import CRS, Geod, Transformer

    to_degrees = Transformer.from_crs(CRS.from_wkt(grid.crs.to_wkt()), 'OGC:CRS84', always_xy=True)
    column, row = grid.width / 2, grid.height / 2
    corners = [grid.transform @ place for place in ((column, row), (column + 1, row), (column, row + 1))]
    (x, y), right, below = (to_degrees.transform(*corner) for corner in corners)
    geod = Geod(ellps='WGS84')
    return geod.inv(x, y, *right)[2], geod.inv(x, y, *below)[2]


def _count_in_blocks(labels: ItemLabels | RasterLabels, blocks: _Blocks) -> np.ndarray:
    """Features (a raster: labelled pixels) of each class in each block, before any class is left out: (B,K)."""
    if isinstance(labels, ItemLabels):
        known = sorted({str(name) for name in labels.names})
        counts = np.zeros((blocks.count, len(known)), np.int64)
        classes = np.array([known.index(str(name)) for name in labels.names])
        np.add.at(counts, (blocks.numbers(*labels.positions.T), classes), 1)
        return counts
    codes_held = np.array(sorted(labels.counts))
    counts = np.zeros((blocks.count, len(codes_held)), np.int64)
    for window in block_windows(labels.grid.height, labels.grid.width, BLOCK):
        codes, has_label = labels.codes(window)
        numbers = blocks.of_window(window)
        np.add.at(counts, (numbers[has_label], np.searchsorted(codes_held, codes[has_label])), 1)
    return counts


def share_out(counts: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Iterative stratification; see :func:`split_by_blocks`.

    Args:
        counts: members of each class in each group, (B,K); no group is empty.
        shares: of the S splits.
        seed: of the order among equals.

    Returns:
        Split of each group, (B,) int8.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(counts))
    missing = np.outer(shares, counts.sum(axis=0)).astype(np.float64)  # S,K: wanted and not yet there
    has = np.zeros(missing.shape, bool)
    splits = np.full(len(counts), NO_SPLIT, np.int8)
    while (open_groups := order[splits[order] == NO_SPLIT]).size:
        left = (counts[open_groups] > 0).sum(axis=0)
        rarest = int(np.where(left > 0, left, len(counts) + 1).argmin())
        groups = open_groups[counts[open_groups, rarest] > 0]
        # Large groups first: the small ones can still make up for them.
        groups = groups[np.argsort(-counts[groups, rarest], kind='stable')]
        for position, group in enumerate(groups):
            lacking = ~has[:, rarest]
            must = lacking.any() and len(groups) - position <= lacking.sum()
            candidates = np.flatnonzero(lacking) if must else np.arange(len(shares))
            need = np.stack([missing[candidates, rarest], missing[candidates].sum(axis=1)])
            split = candidates[np.lexsort((-need[1], -need[0]))[0]]
            splits[group] = split
            missing[split] -= counts[group]
            has[split] |= counts[group] > 0
    return splits


def deal_out(counts: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Share out groups of very different sizes so that large and small ones come to every split.

    Groups are dealt out, the largest first, to the split that lacks most of what it should have, in proportion to it;
    what would go beyond a split's share counts before. :func:`share_out` goes by what lacks in numbers, so the split
    with the largest share gets all large groups, and the others many small ones: for regions of fields, where a large
    region is another kind of ground than a single field, these are not alike. Before a class runs out, splits that have
    none of it come first.

    Args:
        counts: members of each class in each group, (B,K); no group is empty.
        shares: of the S splits.
        seed: decides among equals.

    Returns:
        Split of each group, (B,) int8.
    """
    parts = counts / np.maximum(counts.sum(axis=0), 1)
    wanted = np.asarray(shares, np.float64)[:, None]
    held = np.zeros((len(shares), parts.shape[1]))
    chosen = np.full(len(parts), NO_SPLIT, np.int8)
    left = (parts > 0).sum(axis=0)
    for group in np.lexsort([np.random.default_rng(seed).permutation(len(parts)), -parts.max(axis=1)]):
        concerned = parts[group] > 0
        without = (held == 0) & concerned
        due = without & (left <= without.sum(axis=0))
        candidates = np.flatnonzero(due.any(axis=1)) if due.any() else np.arange(len(shares))
        excess = (np.maximum(held + parts[group] - wanted, 0) * concerned).sum(axis=1)[candidates]
        lack = ((wanted - held) / wanted * parts[group]).sum(axis=1)[candidates]
        chosen[group] = candidates[np.lexsort([-lack, excess.round(9)])[0]]
        held[chosen[group]] += parts[group]
        left -= concerned
    return chosen


def split_at_random(labels: ItemLabels | RasterLabels, shares: Mapping[str, float], seed: int = 0) -> None:
    """Divide features, or the pixels of a raster, at random, each by itself.

    Neighbours are alike: they share soil, weather, farmer, and of a raster the very field. A test set drawn from among
    them says how well a model fills gaps between its training samples, not how well it maps ground without any, and
    its scores are too high (Roberts et al., Ecography 40, 2017). The log says so.

    Args:
        labels: of any kind.
        shares: split to its share, with sum 1; features are shared out class by class.
        seed: of the draw.

    Raises:
        ValueError: if the shares make no sense.
    """
    names = _check_shares(shares)
    print_log(
        f'{labels.path.name}: random splits put neighbours of the training samples into the test set, so test scores '
        "are too high for ground without training samples. Measure the difference with splits=dict(type='blocks', …)",
        'current',
        logging.WARNING,
    )
    edges = np.cumsum(list(shares.values()))[:-1]
    if isinstance(labels, RasterLabels):
        labels.split_names, labels.pixel_splits = names, _RandomPixels(labels.grid, edges, seed)
        return
    rng = np.random.default_rng(seed)
    splits = np.full(len(labels.names), NO_SPLIT, np.int8)
    texts = np.array([str(name) for name in labels.names])
    for name in np.unique(texts):
        members = rng.permutation(np.flatnonzero(texts == name))
        for number, part in enumerate(np.split(members, np.round(edges * len(members)).astype(int))):
            splits[part] = number
    labels.split_names, labels.item_splits = names, splits


class _RandomPixels:
    """Split of a window's pixels by a random number of each, a function of its place and the seed."""

    def __init__(self, grid: Grid, edges: np.ndarray, seed: int) -> None:
        self.width, self.edges, self.seed = grid.width, edges, seed

    def __call__(self, window: Window) -> np.ndarray:
        rows = (window.row + np.arange(window.height, dtype=np.uint64))[:, None]
        flat = rows * np.uint64(self.width) + (window.column + np.arange(window.width, dtype=np.uint64))
        seeds = np.full(flat.size, self.seed, np.uint64)
        fractions = random_fractions(seeds, flat.ravel(), 0, 1)[:, 0]
        return np.searchsorted(self.edges, fractions, side='right').reshape(window.shape).astype(np.int8)


def _check_shares(shares: Mapping[str, float]) -> tuple[str, ...]:
    if not shares or any(share <= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f'splits: shares must be above 0 and have sum 1, got {dict(shares)}')
    return tuple(shares)


def _apply(labels: ItemLabels | RasterLabels, names: tuple[str, ...], division: _Blocks | _SplitPolygons) -> None:
    labels.split_names, labels.pixel_splits = names, division
    if isinstance(labels, ItemLabels):
        labels.item_splits = division.of_places(labels.positions)


_DIVISIONS: dict[str, Callable[..., None]] = dict(
    column=split_by_column, vector=split_by_polygons, blocks=split_by_blocks, random=split_at_random
)


class Coverage(NamedTuple):
    """How many labels of each class each split has.

    Attributes:
        path: the label file.
        classes: names of the K classes.
        splits: names of the S splits; the last is '(none)' where labels belong to none.
        features: (S,K) number of parcels or points; None for a raster.
        pixels: (S,K) number of pixels; None where they were not counted.
    """

    path: Path
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    features: np.ndarray | None
    pixels: np.ndarray | None

    def table(self) -> str:
        """The counts as a table of text, a row for each class."""
        from rich.console import Console
        from rich.table import Table

        table = Table('class', title=f'{self.path.name}: labels of each split')
        kinds = [kind for kind in ('features', 'pixels') if getattr(self, kind) is not None]
        for split in self.splits:
            for kind in kinds:
                table.add_column(f'{split}\n{kind}', justify='right')
        for number, name in enumerate(self.classes):
            counts = [getattr(self, kind)[row, number] for row in range(len(self.splits)) for kind in kinds]
            table.add_row(name, *(str(count) for count in counts))
        page = io.StringIO()
        Console(file=page, width=max(60, 14 * (1 + len(self.splits) * len(kinds))), color_system=None).print(table)
        return page.getvalue()

    def absent(self) -> dict[str, list[str]]:
        """Split to the classes that it has no label of; splits that have all are left out."""
        counts = self.pixels if self.features is None else self.features
        assert counts is not None
        found = {
            split: [name for name, count in zip(self.classes, row, strict=True) if not count]
            for split, row in zip(self.splits, counts, strict=True)
            if split != '(none)'
        }
        return {split: names for split, names in found.items() if names}


def coverage(labels: ItemLabels | RasterLabels, pixels: LabelPixels | None = None) -> Coverage:
    """Count the labels of each class in each split.

    Args:
        labels: divided into splits.
        pixels: their pixels, to count these too; a raster's are counted in any case.
    """
    names, classes = (*labels.split_names, '(none)'), len(labels.classes)
    if isinstance(labels, RasterLabels):
        counts = _count_pixels(labels, len(names), classes)
        return _trim(Coverage(labels.path, labels.classes, names, None, counts))
    splits = np.full(len(labels.labels), NO_SPLIT) if labels.item_splits is None else labels.item_splits
    listed = labels.labels != IGNORED
    features = np.zeros((len(names), classes), np.int64)
    np.add.at(features, (splits[listed], labels.labels[listed]), 1)  # -1 is the last row
    if pixels is None:
        return _trim(Coverage(labels.path, labels.classes, names, features, None))
    sizes = np.zeros_like(features)
    known = pixels.labels != IGNORED
    np.add.at(sizes, (pixels.splits[known], pixels.labels[known]), np.diff(pixels.offsets)[known])
    return _trim(Coverage(labels.path, labels.classes, names, features, sizes))


def _count_pixels(labels: RasterLabels, splits: int, classes: int) -> np.ndarray:
    counts = np.zeros((splits, classes), np.int64)
    for window in block_windows(labels.grid.height, labels.grid.width, BLOCK):
        found = labels.read(window)
        where, known = labels.splits_of(window), found != IGNORED
        np.add.at(counts, (where[known], found[known]), 1)
    return counts


def _trim(counted: Coverage) -> Coverage:
    """Without the row of labels that belong to no split where there are none."""
    counts = counted.pixels if counted.features is None else counted.features
    assert counts is not None
    if counts[-1].any() or len(counted.splits) == 1:
        return counted
    features = None if counted.features is None else counted.features[:-1]
    pixels = None if counted.pixels is None else counted.pixels[:-1]
    return counted._replace(splits=counted.splits[:-1], features=features, pixels=pixels)


_reported: set[tuple] = set()


def report_coverage(labels: ItemLabels | RasterLabels, pixels: LabelPixels | None = None) -> None:
    """Log the counts of :func:`coverage`, and warn of classes that a split lacks; once for each division in a process.

    Args:
        labels: divided into splits.
        pixels: see :func:`coverage`.
    """
    counted = coverage(labels, pixels)
    counts = [array.tobytes() for array in counted[3:] if array is not None]
    key = (str(counted.path), counted.classes, counted.splits, *counts)
    if key in _reported:
        return
    _reported.add(key)
    print_log(f'\n{counted.table()}', 'current', logging.INFO)
    for split, names in counted.absent().items():
        print_log(
            f'{counted.path.name}: the split {split!r} has no label of {", ".join(names)}: such a class is '
            f'{"not learnt" if split == "train" else "not scored there"}. Other splits (a seed, a smaller block size) '
            'may have them all.',
            'current',
            logging.WARNING,
        )
