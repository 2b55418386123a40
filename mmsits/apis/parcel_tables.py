"""A table of predictions, one row for each parcel, written bit by bit: memory stays bounded, and what was done before
an interruption is kept."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmsits.apis.domains import TrainedNetwork, unlabelled_batches
from mmsits.datasets.errors import DataError
from mmsits.datasets.groups import sample_names
from mmsits.datasets.samplers import batches_of_similar_size
from mmsits.engine.files import write_atomically
from mmsits.models.adaptation.views import shift_days

SUFFIXES = ('.csv', '.parquet')
Columns = Mapping[str, np.ndarray]


def predict_parcels(
    network: TrainedNetwork,
    dataset: Any,
    samples: Sequence[int],
    shift: int | np.ndarray = 0,
    batch_size: int = 128,
    max_pixels: int = 2**13,
    num_workers: int = 0,
) -> dict[str, np.ndarray]:
    """Classify some parcels of a dataset.

    Args:
        network: from `load_network`.
        dataset: from `open_domains`; each sample has one class.
        samples: n positions.
        shift: days added to the parcels' dates, one number or one for each, (n,).
        batch_size: most parcels in a batch.
        max_pixels: most pixels in a batch, padding included; a larger parcel is a batch of its own.
        num_workers: processes that read.

    Returns:
        `probabilities` (n, K) float32, NaN for a parcel without any valid date, and `dates` (n,) int64, on how many it
        was observed.

    Raises:
        DataError: if a parcel cannot be read.
        ValueError: if samples are maps of more than one pixel.
    """
    sizes = getattr(dataset, 'sample_sizes', None)
    numbers = [1] * len(samples) if sizes is None else [int(sizes[sample]) for sample in samples]
    batches = batches_of_similar_size(numbers, batch_size, max_pixels)
    probabilities = np.full((len(samples), network.segmentor.out_channels), np.nan, np.float32)
    dates = np.zeros(len(samples), np.int64)
    days = np.broadcast_to(np.asarray(shift, np.int64), len(samples)).copy()
    positions = [[samples[index] for index in batch] for batch in batches]
    with torch.no_grad():
        for batch, data in zip(batches, unlabelled_batches(network, dataset, positions, num_workers), strict=True):
            inputs = shift_days(data['inputs'], torch.from_numpy(days[list(batch)]) + network.shift)
            answer = network.segmentor.predict(inputs)[0]
            if tuple(answer['logits'].shape[-2:]) != (1, 1):
                raise ValueError(
                    'these samples are maps, not parcels with one class each: use tools/test.py --show-dir'
                )
            found = answer['logits'].float().softmax(1)[..., 0, 0].cpu().numpy()
            observed = answer['observed'][:, 0, 0].cpu().numpy()
            probabilities[batch] = np.where(observed[:, None], found, np.nan)
            dates[batch] = _observed_dates(inputs)
    return dict(probabilities=probabilities, dates=dates)


def _observed_dates(inputs: Mapping[str, Any]) -> np.ndarray:
    """On how many dates each sample was observed, by the sensor that saw it most often."""
    counts = [series.valid.flatten(2).any(2).sum(1) for series in inputs.values()]
    return torch.stack(counts).amax(0).cpu().numpy()


def prediction_columns(
    domain: str, names: Sequence[str], sizes: np.ndarray, classes: Sequence[str], found: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Columns of the table.

    Args:
        domain: where the parcels lie.
        names: n ids.
        sizes: pixels of each, (n,).
        classes: K names.
        found: from `predict_parcels`.

    Returns:
        domain, id, class (empty without any observation), probability (of that class), entropy (nats), pixels, dates,
        and p_<class> for each class; NaN where unknown.
    """
    p = found['probabilities']
    known = ~np.isnan(p).any(1)
    filled = np.where(known[:, None], p, 1.0).astype(np.float64)
    best = filled.argmax(1)
    entropy = -(filled * np.log(np.maximum(filled, 1e-30))).sum(1)
    columns: dict[str, np.ndarray] = {
        'domain': np.full(len(names), domain, object),
        'id': np.array(names, object),
        'class': np.where(known, np.array(classes, object)[best], ''),
        'probability': np.where(known, filled.max(1), np.nan).astype(np.float32),
        'entropy': np.where(known, entropy, np.nan).astype(np.float32),
        'pixels': np.asarray(sizes, np.int64),
        'dates': found['dates'],
    }
    return columns | {f'p_{name}': p[:, number] for number, name in enumerate(classes)}


def series_columns(
    domain: str, names: Sequence[str], sizes: np.ndarray, classes: Sequence[str], found: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """As `prediction_columns`, for a table of series, which has neither domains nor parcels of many pixels.

    Returns:
        id, class (its number from 0; -1 without any observation), class_name, probability, entropy (nats), dates, and
        p_<class> for each class.
    """
    columns = prediction_columns(domain, names, sizes, classes, found)
    number = {name: position for position, name in enumerate(classes)}
    described = dict(
        id=columns['id'],
        **{'class': np.array([number.get(name, -1) for name in columns['class']], np.int64)},
        class_name=columns['class'],
    )
    return described | {name: columns[name] for name in columns if name not in ('domain', 'id', 'class', 'pixels')}


class PartedTable:
    """A table made of parts, each a file that is there in full or not at all; the table appears when all are.

    Parts lie in a folder beside the table, `.<name>.parts`, with a note of what they were made from: other parts are
    not reused.

    Args:
        path: .csv or .parquet.
        description: what determines the table's content.

    Raises:
        ValueError: if the suffix is another.
    """

    def __init__(self, path: str | Path, description: Mapping[str, Any]) -> None:
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise ValueError(f'{self.path}: a table is written as {" or ".join(SUFFIXES)}')
        self.folder = self.path.with_name(f'.{self.path.name}.parts')
        self._digest = hashlib.sha256(json.dumps(description, sort_keys=True, default=str).encode()).hexdigest()
        note = self.folder / 'made_from.json'
        if not (note.is_file() and note.read_text().strip() == json.dumps(self._digest)):
            shutil.rmtree(self.folder, ignore_errors=True)
            write_atomically(note, json.dumps(self._digest).encode())

    def part(self, number: int) -> Path:
        """File of a part."""
        return self.folder / f'{number:08d}{self.path.suffix}'

    def has(self, number: int) -> bool:
        """Whether a part is there."""
        return self.part(number).is_file()

    def write(self, number: int, columns: Columns) -> None:
        """Write a part."""
        encode: Callable[[Columns, bool], bytes] = _parquet if self.path.suffix == '.parquet' else _csv
        write_atomically(self.part(number), encode(columns, number == 0))

    def finish(self, parts: int) -> None:
        """Put the parts together to the table, in one step, and remove them.

        Raises:
            DataError: if a part is missing.
        """
        missing = [number for number in range(parts) if not self.has(number)]
        if missing:
            raise DataError(f'parts {missing[:5]} of the table are missing', path=self.folder, hint='Run it again.')
        temporary = self.folder / f'whole{self.path.suffix}'
        join = _join_parquet if self.path.suffix == '.parquet' else _join_csv
        join([self.part(number) for number in range(parts)], temporary)
        os.replace(temporary, self.path)
        shutil.rmtree(self.folder)


def _csv(columns: Columns, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    if header:
        writer.writerow(columns)
    cells = [_texts(values) for values in columns.values()]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue().encode()


def _texts(values: np.ndarray) -> list[str]:
    if values.dtype.kind != 'f':
        return [str(value) for value in values.tolist()]
    return ['' if np.isnan(value) else f'{value:.6g}' for value in values.tolist()]


def _parquet(columns: Columns, header: bool) -> bytes:
    import pyarrow
    from pyarrow import parquet

    arrays = {
        name: pyarrow.array(values.tolist(), pyarrow.string()) if values.dtype.kind == 'O' else pyarrow.array(values)
        for name, values in columns.items()
    }
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays), buffer)
    return buffer.getvalue()


def _join_csv(parts: Sequence[Path], path: Path) -> None:
    with open(path, 'wb') as file:
        for part in parts:
            with open(part, 'rb') as content:
                shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())


def _join_parquet(parts: Sequence[Path], path: Path) -> None:
    from pyarrow import parquet

    writer = None
    try:
        for part in parts:
            table = parquet.read_table(part)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
            with open(path, 'rb+') as file:
                os.fsync(file.fileno())


def classify_parcels(
    network: TrainedNetwork,
    datasets: Mapping[str, Any],
    table: PartedTable,
    shifts: Mapping[str, int | np.ndarray] | None = None,
    part_size: int = 2048,
    progress: Callable[[str, int, int], None] | None = None,
    describe: Callable[..., dict[str, np.ndarray]] = prediction_columns,
    **options: Any,
) -> int:
    """Classify all parcels of some domains into a table, going on where an earlier call was stopped.

    Args:
        network: from `load_network`.
        datasets: from `open_domains`.
        table: where the rows go, in the order of the datasets.
        shifts: days added to the dates of each domain's parcels, one number or one for each; None moves none.
        part_size: parcels in a part.
        progress: called with the domain, and the number of parcels done and in all of it.
        describe: makes the columns, `prediction_columns` or `series_columns`.
        **options: of `predict_parcels`.

    Returns:
        Number of rows.
    """
    number = rows = 0
    for domain, dataset in datasets.items():
        names, classes = sample_names(dataset), dataset.metainfo['classes']
        days = np.broadcast_to((shifts or {}).get(domain, 0), len(dataset))
        sizes = getattr(dataset, 'sample_sizes', None)
        for first in range(0, len(dataset), part_size):
            samples = range(first, min(first + part_size, len(dataset)))
            if not table.has(number):
                found = predict_parcels(network, dataset, samples, days[samples.start : samples.stop], **options)
                own = np.ones(len(samples), np.int64) if sizes is None else sizes[samples.start : samples.stop]
                chosen = names[samples.start : samples.stop]
                table.write(number, describe(domain, chosen, own, classes, found))
            number += 1
            if progress is not None:
                progress(domain, samples.stop, len(dataset))
        rows += len(dataset)
    table.finish(number)
    return rows


def classify_with_progress(
    network: TrainedNetwork, datasets: Mapping[str, Any], table: PartedTable, **options: Any
) -> int:
    """As `classify_parcels`, showing on standard error how far it is and how long it still takes."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {name: bar.add_task(name, total=len(dataset)) for name, dataset in datasets.items()}

        def advance(name: str, done: int, total: int) -> None:
            bar.update(tasks[name], completed=done)

        return classify_parcels(network, datasets, table, progress=advance, **options)
