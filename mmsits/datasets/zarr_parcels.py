"""Parcels as the TimeMatch authors publish them: one zarr array (T, C, S) per parcel."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .packed_parcels import DomainParcels
from .parcel_store import DomainTable


def read_zarr(path: str | Path, sample_id: str | None = None) -> np.ndarray:
    """Read a zarr array from its folder, whole.

    Arrays of format 2, which TimeMatch uses, are read here: the zarr package takes ten times as long for so small an
    array, and fills a missing chunk with zeros without a word. Other formats are left to zarr.

    Args:
        path: folder of the array.
        sample_id: named in errors.

    Returns:
        The array.

    Raises:
        DataError: if the folder or a chunk is missing or damaged; names the chunk.
    """
    path = Path(path)
    try:
        description = json.loads((path / '.zarray').read_bytes())
    except FileNotFoundError:
        return _read_by_zarr(path, sample_id)
    except (ValueError, OSError) as error:
        raise DataError(f'.zarray cannot be read ({error})', path=path, sample_id=sample_id, hint=_AGAIN) from error
    try:
        shape, chunk_shape = tuple(description['shape']), tuple(description['chunks'])
        dtype, order = np.dtype(description['dtype']), description.get('order', 'C')
        separator = description.get('dimension_separator', '.')
        if dtype.hasobject or len(shape) != len(chunk_shape) or min(chunk_shape, default=1) < 1:
            raise ValueError(f'shape {shape}, chunks {chunk_shape}, dtype {dtype}')
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f'.zarray describes no array ({error!r})', path=path, sample_id=sample_id, hint=_AGAIN
        ) from error
    if description.get('filters'):
        return _read_by_zarr(path, sample_id)
    codec = _codec(description.get('compressor'), path, sample_id)
    whole = np.empty(shape, dtype)
    for position in itertools.product(
        *(range(-(-size // step)) for size, step in zip(shape, chunk_shape, strict=True))
    ):
        name = separator.join(map(str, position)) or '0'
        chunk = _read_chunk(path / name, codec, dtype, sample_id)
        if chunk.size != np.prod(chunk_shape, dtype=np.int64):
            raise DataError(
                f'chunk {name} has {chunk.size} values, {np.prod(chunk_shape)} expected {chunk_shape}',
                path=path / name,
                sample_id=sample_id,
                hint=_AGAIN,
            )
        start = [index * step for index, step in zip(position, chunk_shape, strict=True)]
        target = tuple(slice(first, first + step) for first, step in zip(start, chunk_shape, strict=True))
        inside = tuple(
            slice(0, min(step, size - first)) for first, step, size in zip(start, chunk_shape, shape, strict=True)
        )
        whole[target] = chunk.reshape(chunk_shape, order=order)[inside]
    return whole


_AGAIN = 'Get or write this parcel again.'


def _codec(config: dict | None, path: Path, sample_id: str | None) -> Any:
    if config is None:
        return None
    import numcodecs

    try:
        return numcodecs.get_codec(dict(config))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f'compressor {config.get("id")!r} is not known ({error})', path=path, sample_id=sample_id, hint=_AGAIN
        ) from error


def _read_chunk(path: Path, codec: Any, dtype: np.dtype, sample_id: str | None) -> np.ndarray:
    try:
        content = path.read_bytes()
        return np.frombuffer(content if codec is None else codec.decode(content), dtype)
    except FileNotFoundError as error:
        raise DataError(f'chunk {path.name} is missing', path=path, sample_id=sample_id, hint=_AGAIN) from error
    # Each codec has errors of its own.
    except Exception as error:
        raise DataError(
            f'chunk {path.name} is damaged ({type(error).__name__}: {error})',
            path=path,
            sample_id=sample_id,
            hint=_AGAIN,
        ) from error


def _read_by_zarr(path: Path, sample_id: str | None) -> np.ndarray:
    if not path.exists():
        raise DataError('the parcel is missing', path=path, sample_id=sample_id, hint='Complete the download.')
    import zarr

    try:
        array = zarr.open_array(str(path), mode='r')
        if array.nchunks_initialized < array.nchunks:
            raise ValueError(f'{array.nchunks - array.nchunks_initialized} of {array.nchunks} chunks are missing')
        return np.asarray(array[...])
    # zarr's errors changed from release to release.
    except Exception as error:
        raise DataError(
            f'not a readable zarr array ({type(error).__name__}: {error})',
            path=path,
            sample_id=sample_id,
            hint=_AGAIN,
        ) from error


class ZarrParcels(DomainParcels):
    """The parcels of a domain, `<folder>/data/<number>.zarr`, each (T, C, S).

    Args:
        folder: folder of the domain.
        table: what its metadata say.
        bands: number of bands that each array must have.
    """

    def __init__(self, folder: str | Path, table: DomainTable, bands: int = 10) -> None:
        self.path = Path(folder) / 'data'
        self.table = table
        self.sizes = table.sizes
        self.bands = bands
        self.dtype = np.dtype(np.uint16)
        if not self.path.is_dir():
            raise DataError(
                'the folder of the parcels is missing', path=self.path, hint='Complete the download of the domain.'
            )

    def path_of(self, parcel: int) -> str:
        """Folder of a parcel's array."""
        return str(self.path / f'{parcel}.zarr')

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """The domain's dates for each parcel; see :class:`ParcelStore`."""
        return np.broadcast_to(self.table.days, (len(parcels), len(self.table.days)))

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """True throughout: all parcels of a domain have all its dates."""
        return np.ones((len(parcels), len(self.table.days)), bool)

    def read(self, parcel: int) -> np.ndarray:
        """One parcel, (T,C,S) uint16.

        Raises:
            DataError: if it cannot be read, or has other dates, bands or pixels than the metadata say.
        """
        path = self.path_of(parcel)
        values = read_zarr(path, str(parcel))
        expected = (len(self.table.days), self.bands, int(self.sizes[parcel]))
        if values.shape != expected:
            raise DataError(
                f'{expected[0]} dates, {expected[1]} bands and {expected[2]} pixels are expected from the metadata, '
                f'the array has {values.shape}',
                path=path,
                sample_id=str(parcel),
                hint='Metadata and arrays must be of one preparation; get both again.',
            )
        if values.dtype.kind != 'u' or values.dtype.itemsize > 2:
            raise DataError(
                f'uint16 is expected, the array has {values.dtype}', path=path, sample_id=str(parcel), hint=_AGAIN
            )
        return values

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Read parcel by parcel; see :class:`ParcelStore`."""
        values = np.empty((*dates.shape, pixels.shape[1], self.bands), self.dtype)
        for row, parcel in enumerate(parcels):
            chosen = self.read(int(parcel))[dates[row]][:, :, pixels[row]]
            values[row] = chosen.transpose(0, 2, 1)
        return values
