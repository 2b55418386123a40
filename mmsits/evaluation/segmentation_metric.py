"""Accuracy of class maps from one confusion matrix, exact however the data were split over batches and processes.

`confusion_matrix` and `scores` are plain functions, for the results of any classifier; `SeriesSegmentationMetric` is
the metric of the config system, built on them. All scores are fractions from 0 to 1 (kappa from -1 to 1).
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get_file_backend
from mmengine.logging import print_log
from mmseg.registry import METRICS

AverageOver = Literal['reference', 'reference_or_prediction', 'all', 'reference_submatrix']
_Labels = TypeVar('_Labels', np.ndarray, torch.Tensor)

_DEFINITIONS = {
    'reference': 'means over the classes that occur in the reference; there, a class that is never predicted scores 0',
    'reference_or_prediction': (
        'means over the classes for which the score is defined: precision over predicted classes, recall over classes '
        'in the reference, F1 and IoU over classes in either'
    ),
    'all': 'means over all classes; a score that is undefined, as of a class that occurs nowhere, counts as 0',
    'reference_submatrix': (
        'IoU among the classes of the reference, a pixel that was given any other class being left out, its mean over '
        'these classes; means of F1, precision and recall over the classes in the reference or the prediction, an '
        'undefined score counting as 0'
    ),
}


class SegmentationScores(NamedTuple):
    """Scores of one confusion matrix, as fractions.

    Attributes:
        overall: 'OA', 'mIoU', 'macro_F1', 'macro_precision', 'macro_recall', 'kappa'. NaN where undefined.
        per_class: 'IoU', 'F1', 'precision', 'recall', each (K,) float64, NaN where undefined (0/0).
        support: (K,) int64, labelled pixels of each class in the reference.
    """

    overall: dict[str, float]
    per_class: dict[str, np.ndarray]
    support: np.ndarray


def confusion_matrix(prediction: _Labels, target: _Labels, num_classes: int, ignore_index: int | None = 255) -> _Labels:
    """Count how often each reference class was given each class.

    Args:
        prediction: Class indices 0 to K - 1 of any shape, numpy array or tensor of integers.
        target: Reference of the same shape and kind; `ignore_index` marks pixels that do not count.
        num_classes: K.
        ignore_index: Value of `target` that is left out; None if every pixel counts.

    Returns:
        (K, K) int64 of the kind that was given, on its device: rows are the reference, columns the prediction.

    Raises:
        ValueError: If shapes differ, or an index that counts lies outside 0 to K - 1.
    """
    if tuple(prediction.shape) != tuple(target.shape):
        raise ValueError(f'prediction has shape {tuple(prediction.shape)}, reference {tuple(target.shape)}')
    if isinstance(target, np.ndarray):
        counts = confusion_matrix(
            torch.from_numpy(np.asarray(prediction, np.int64)),
            torch.from_numpy(target.astype(np.int64)),
            num_classes,
            ignore_index,
        )
        return counts.numpy()
    counted = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
    reference, predicted = target[counted].long(), prediction[counted].long()
    if not reference.numel():
        return torch.zeros((num_classes, num_classes), dtype=torch.int64, device=target.device)
    for name, labels in (('reference', reference), ('prediction', predicted)):
        low, high = (int(value) for value in labels.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f'the {name} holds class indices from {low} to {high}, but there are {num_classes} classes '
                f'(0 to {num_classes - 1}) and {ignore_index} is what is ignored: check the class table'
            )
    counts = torch.bincount(reference * num_classes + predicted, minlength=num_classes**2)
    return counts.view(num_classes, num_classes)


def scores(
    confusion: np.ndarray | torch.Tensor,
    excluded_classes: Sequence[int] = (),
    average_over: AverageOver = 'reference',
) -> SegmentationScores:
    """Scores of a confusion matrix.

    With row sums r (reference), column sums c (prediction), diagonal d and total n: OA = sum(d) / n,
    precision = d / c, recall = d / r, F1 = 2 d / (r + c), IoU = d / (r + c - d),
    kappa = (OA - e) / (1 - e) with e = sum(r c) / n^2 (Cohen, 1960).

    Args:
        confusion: (K, K) integers, rows reference, columns prediction.
        excluded_classes: Rows and columns set to zero first: pixels of these classes do not count, nor do pixels of
            other classes that were predicted as one of them. This is the published rule for PASTIS' void class.
        average_over: 'reference': means over the classes that occur in the reference, 0 where such a class was never
            predicted. 'reference_or_prediction': each mean over the classes where that score is defined. 'all': over
            all classes but the excluded ones, 0 where undefined. 'reference_submatrix', of STCLN's test scripts: IoU
            from the rows and columns of the classes in the reference alone, averaged over these; the other means over
            the classes in reference or prediction, 0 where undefined.

    Raises:
        ValueError: If the matrix is not square, an excluded class is outside it, or `average_over` is unknown.
    """
    if average_over not in get_args(AverageOver):
        raise ValueError(f'average_over is {average_over!r}, expected one of {get_args(AverageOver)}')
    counts = np.array(confusion.cpu().numpy() if isinstance(confusion, torch.Tensor) else confusion, dtype=np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f'a confusion matrix is square, this one has shape {counts.shape}')
    excluded = list(excluded_classes)
    if any(not 0 <= index < len(counts) for index in excluded):
        raise ValueError(f'excluded_classes {excluded} do not all lie in 0 to {len(counts) - 1}')
    counts[excluded, :] = 0
    counts[:, excluded] = 0
    rows, columns, correct = counts.sum(1), counts.sum(0), counts.diagonal()
    per_class = {
        'IoU': _iou(counts if average_over != 'reference_submatrix' else _among_reference(counts)),
        'F1': _ratio(2 * correct, rows + columns),
        'precision': _ratio(correct, columns),
        'recall': _ratio(correct, rows),
    }
    accuracy = float(_ratio(correct.sum(), counts.sum()))
    kept = np.isin(np.arange(len(counts)), excluded, invert=True)
    present = rows + columns if average_over == 'reference_submatrix' else rows
    occurs = {name: rows if name == 'IoU' else present for name in per_class}
    means = {name: _mean(values[kept], occurs[name][kept], average_over) for name, values in per_class.items()}
    overall = {
        'OA': accuracy,
        'mIoU': means['IoU'],
        'macro_F1': means['F1'],
        'macro_precision': means['precision'],
        'macro_recall': means['recall'],
        'kappa': _kappa(rows, columns, accuracy),
    }
    return SegmentationScores(overall, per_class, rows)


def _iou(counts: np.ndarray) -> np.ndarray:
    correct = counts.diagonal()
    return _ratio(correct, counts.sum(1) + counts.sum(0) - correct)


def _among_reference(counts: np.ndarray) -> np.ndarray:
    """The counts without pixels that were given a class that the reference does not have."""
    return counts * (counts.sum(1) > 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)


def _mean(values: np.ndarray, occurs: np.ndarray, average_over: AverageOver) -> float:
    if average_over == 'all':
        chosen = np.nan_to_num(values)
    elif average_over == 'reference_or_prediction':
        chosen = values[~np.isnan(values)]
    else:
        chosen = np.nan_to_num(values[occurs > 0])
    return float(chosen.mean()) if len(chosen) else float('nan')


def _kappa(rows: np.ndarray, columns: np.ndarray, accuracy: float) -> float:
    # In floating point: the product of two counts of pixels overflows 64 bits for a country.
    total = float(rows.sum())
    if not total:
        return float('nan')
    expected = float((rows / total) @ (columns / total))
    return (accuracy - expected) / (1 - expected) if expected < 1 else float('nan')


@METRICS.register_module()
class SeriesSegmentationMetric(BaseMetric):
    """Overall accuracy, macro F1, mIoU, kappa and per-class scores over all labelled pixels of a dataset.

    Counts every batch into one (K, K) matrix on the device of the predictions and adds the matrices of all processes as
    integers, so the figures do not depend on batch size or number of processes. Pixels whose reference is
    `ignore_index` do not count. Labelled pixels without a single valid observation do count; their share is reported.

    Args:
        num_classes: K; default the number of `classes` in the dataset's metainfo.
        ignore_index: Reference value that does not count.
        excluded_classes: Classes (indices or names) whose row and column are set to zero, see `scores`.
        average_over: Classes that enter the means, see `scores`.
        log_per_class: Also return 'IoU/<class>' and 'F1/<class>', one curve each in TensorBoard.
        out: File for the results: `.json` (scores, definition and matrix) or `.npz` (arrays).
        prefix: Put before each name, with a slash.
        collect_device: Kept for mmengine's interface; counts are summed where they are.

    Raises:
        ValueError: If an option or `out`'s suffix is unknown.

    Returns of `evaluate`: dict of floats: OA, mIoU, macro_F1, macro_precision, macro_recall, kappa (fractions).
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignore_index: int = 255,
        excluded_classes: Sequence[int | str] = (),
        average_over: AverageOver = 'reference',
        log_per_class: bool = False,
        out: str | None = None,
        prefix: str | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        # An empty prefix is meant; without one, mmengine warns at every start.
        self.default_prefix = ''
        super().__init__(collect_device=collect_device, prefix=prefix)
        if average_over not in get_args(AverageOver):
            raise ValueError(f'average_over is {average_over!r}, expected one of {get_args(AverageOver)}')
        if out is not None and Path(out).suffix not in ('.json', '.npz'):
            raise ValueError(f'out={out!r}: results are written as .json or .npz')
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.excluded_classes = tuple(excluded_classes)
        self.average_over = average_over
        self.log_per_class = log_per_class
        self.out = out
        self._reset()

    def _reset(self) -> None:
        self._confusion: torch.Tensor | None = None
        self._unobserved: torch.Tensor | int = 0
        self._samples = 0

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch.

        Args:
            data_batch: Not used.
            data_samples: What the segmentor returns in mode 'predict': one dict per batch with `prediction` and
                `targets` (N, H, W) and, if known, `observed` (N, H, W) bool.

        Raises:
            ValueError: If the batch has no labels, or labels and classes do not agree.
        """
        classes = len(self._class_names())
        for sample in data_samples:
            if sample.get('targets') is None:
                raise ValueError('these data have no labels to compare with: evaluate a labelled split')
            prediction = torch.as_tensor(sample['prediction'])
            target = torch.as_tensor(sample['targets']).to(prediction.device)
            counts = confusion_matrix(prediction, target, classes, self.ignore_index)
            self._confusion = counts if self._confusion is None else self._confusion + counts
            self._samples += len(prediction)
            if sample.get('observed') is not None:
                observed = torch.as_tensor(sample['observed']).to(prediction.device)
                self._unobserved = self._unobserved + ((target != self.ignore_index) & ~observed).sum()

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores of what was counted in this process; `results` is not used."""
        return self._flatten(self._scores())

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum the counts of all processes, print the table, write `out`, return the scores and start afresh.

        Args:
            size: Number of samples in the dataset; a warning says so if more were counted (a sampler that repeats
                samples to give each process equally many), since then some counted twice.
        """
        classes = len(self._class_names())
        confusion = self._confusion
        if confusion is None:
            confusion = torch.zeros((classes, classes), dtype=torch.int64)
        tail = confusion.new_tensor([int(self._unobserved), self._samples])
        counts = torch.cat([confusion.flatten(), tail])
        all_reduce(counts, op='sum')
        self._confusion = counts[:-2].view(classes, classes)
        self._unobserved, self._samples = int(counts[-2]), int(counts[-1])
        if self._samples > size:
            print_log(
                f'{self._samples} samples were counted, the dataset has {size}: the sampler repeats some, and they '
                'count twice. Use sampler=dict(type="SeriesEvalSampler").',
                'current',
                logging.WARNING,
            )
        result = self._scores()
        if is_main_process():
            self._report(result)
            self._write(result)
        metrics = self._flatten(result)
        self._reset()
        self.results.clear()
        return metrics

    def _class_names(self) -> tuple[str, ...]:
        names = (self.dataset_meta or {}).get('classes')
        if names is not None and self.num_classes in (None, len(names)):
            return tuple(names)
        if self.num_classes is None:
            raise ValueError('neither num_classes nor the classes of the dataset are known to the metric')
        return tuple(str(index) for index in range(self.num_classes))

    def _excluded(self) -> list[int]:
        names = self._class_names()
        unknown = [name for name in self.excluded_classes if isinstance(name, str) and name not in names]
        if unknown:
            raise ValueError(f'excluded_classes names {unknown}, the classes are {list(names)}')
        return [names.index(name) if isinstance(name, str) else int(name) for name in self.excluded_classes]

    def _scores(self) -> SegmentationScores:
        classes = len(self._class_names())
        confusion = torch.zeros((classes, classes)) if self._confusion is None else self._confusion
        return scores(confusion, self._excluded(), self.average_over)

    def _flatten(self, result: SegmentationScores) -> dict[str, float]:
        metrics = dict(result.overall)
        if self.log_per_class:
            for score in ('IoU', 'F1'):
                for name, value in zip(self._class_names(), result.per_class[score], strict=True):
                    metrics[f'{score}/{name}'] = float(value)
        return {f'{self.prefix}/{name}' if self.prefix else name: value for name, value in metrics.items()}

    def _definition(self, result: SegmentationScores) -> str:
        names = self._class_names()
        excluded = ', '.join(names[index] for index in self._excluded())
        labelled = int(result.support.sum())
        counted = int(self._confusion.sum()) if self._confusion is not None else 0
        sentences = [
            f'{labelled} labelled pixels of {self._samples} samples',
            f'reference {self.ignore_index} ignored',
            _DEFINITIONS[self.average_over],
        ]
        if excluded:
            sentences.append(f'row and column of {excluded} set to zero, so what is predicted as such does not count')
        share = int(self._unobserved) / counted if counted else 0.0
        sentences.append(f'{share:.2%} of the labelled pixels were never observed (they count)')
        return '; '.join(sentences) + '.'

    def _report(self, result: SegmentationScores) -> None:
        from prettytable import PrettyTable

        table = PrettyTable(['class', 'pixels', *(f'{score} %' for score in result.per_class)])
        table.align = 'r'
        table.align['class'] = 'l'
        for index, name in enumerate(self._class_names()):
            table.add_row([name, int(result.support[index]), *(_percent(v[index]) for v in result.per_class.values())])
        overall = '  '.join(
            f'{name} {value:.4f}' if name == 'kappa' else f'{name} {_percent(value)} %'
            for name, value in result.overall.items()
        )
        print_log(f'\n{table.get_string()}\n{overall}\n{self._definition(result)}', 'current')
        if not result.support.sum():
            print_log('No labelled pixel was evaluated, every score is undefined (nan).', 'current', logging.WARNING)

    def _write(self, result: SegmentationScores) -> None:
        if self.out is None:
            return
        assert self._confusion is not None
        confusion = self._confusion.cpu().numpy()
        names = self._class_names()
        backend = get_file_backend(self.out)
        if self.out.endswith('.npz'):
            buffer = io.BytesIO()
            arrays: dict[str, Any] = dict(confusion=confusion, support=result.support, classes=np.array(names))
            arrays |= {f'overall/{name}': np.float64(value) for name, value in result.overall.items()}
            arrays |= {f'per_class/{name}': values for name, values in result.per_class.items()}
            np.savez_compressed(buffer, **arrays)
            backend.put(buffer.getvalue(), self.out)
            return
        per_class = {
            name: {score: _jsonable(values[index]) for score, values in result.per_class.items()}
            | {'pixels': int(result.support[index])}
            for index, name in enumerate(names)
        }
        content = {
            'definition': self._definition(result),
            'overall': {name: _jsonable(value) for name, value in result.overall.items()},
            'per_class': per_class,
            'unobserved_pixels': int(self._unobserved),
            'samples': self._samples,
            'classes': list(names),
            'confusion_matrix': confusion.tolist(),
        }
        backend.put_text(json.dumps(content, indent=2, ensure_ascii=False), self.out)


def _percent(value: float) -> str:
    return '-' if np.isnan(value) else f'{100 * value:.2f}'


def _jsonable(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
