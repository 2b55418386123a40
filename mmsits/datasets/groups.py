"""Groups of a dataset's samples, and the names that their parcels have in a field register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .parcel_dataset import ParcelSeriesDataset

_HINT = 'Give a table with the columns id and that to group by.'


def sample_names(dataset: Any) -> list[str]:
    """Names of the samples as the user knows them: ids of the field register or of the table, else sample ids."""
    if isinstance(dataset, ParcelSeriesDataset):
        ids = getattr(getattr(dataset, 'table', None), 'ids', None)
        if ids is not None:
            return [str(ids[dataset.get_data_info(index)['parcel']]) for index in range(len(dataset))]
    return [str(dataset.get_data_info(index)['sample_id']) for index in range(len(dataset))]


def sample_groups(dataset: Any, column: str, table: str | Path | None = None) -> list[str]:
    """Group of each sample.

    Args:
        dataset: TimeMatch's parcels have the column 'block', series of a table all its columns.
        column: what to group by.
        table: .csv or .parquet with a column id, the samples' names, and the column to group by; samples that it does
            not hold are of the group 'not in the table'.

    Returns:
        A text for each sample.

    Raises:
        DataError: if the table or the column does not exist.
        ValueError: if the dataset has no such column.
    """
    if table is not None:
        groups = _read_groups(Path(table), column)
        return [groups.get(name, 'not in the table') for name in sample_names(dataset)]
    held = getattr(dataset, 'table', None)
    columns = dict(getattr(held, 'columns', None) or {})
    blocks = getattr(held, 'blocks', None)
    if blocks is not None:
        columns['block'] = blocks
    if column not in columns:
        raise ValueError(
            f'the dataset has no column {column!r} to group by; it has {", ".join(sorted(columns)) or "none"}. '
            'Give a table that has it.'
        )
    return [str(columns[column][dataset.get_data_info(index)['parcel']]) for index in range(len(dataset))]


def _read_groups(path: Path, column: str) -> dict[str, str]:
    if not path.is_file():
        raise DataError('the table is missing', path=path, hint='Correct the path.')
    columns = _read_table(path)
    missing = [name for name in ('id', column) if name not in columns]
    if missing:
        raise DataError(f'no column {missing}, there are {sorted(columns)}', path=path, hint=_HINT)
    names = [str(name) for name in columns['id'].tolist()]
    return dict(zip(names, (str(group) for group in columns[column].tolist()), strict=True))


def _read_table(path: Path) -> dict[str, np.ndarray]:
    from pyarrow import ArrowException, csv, parquet, string

    # Names as they stand there: '007' is not 7.
    as_text = csv.ConvertOptions(column_types=dict(id=string()))
    try:
        table = parquet.read_table(path) if path.suffix == '.parquet' else csv.read_csv(path, convert_options=as_text)
    except (ArrowException, OSError) as error:
        raise DataError(f'not a readable table ({error})', path=path, hint=_HINT) from error
    return {name: table.column(name).to_numpy() for name in table.column_names}
