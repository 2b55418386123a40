"""Each crop against all else, at any threshold of its probability: precision, recall, F1 and their curves.

`ThresholdCounts` counts; `OneVersusRestMetric` is the metric of the config system, which also writes what CropMapping's
evaluation writes (Rangzan and Ramezanpour).
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine import fileio
from mmengine.dist import all_reduce, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from mmsits.structures import binary_maps, crop_probabilities

_STEPS = 100
"""Parts that the thresholds divide 0 to 1 into."""


class BinaryScores(NamedTuple):
    """Scores of one crop at one threshold, fractions; NaN where undefined (0 / 0).

    Attributes:
        accuracy: share of the pixels that are right.
        recall: of the crop's pixels, those that were found (true positive rate).
        true_negative_rate: of the other pixels, those that were left.
        precision: of what was found, the crop's pixels.
        f1: 2 found right / (pixels + found); 0 where there are pixels of the crop and none was found.
        pixels: number of the crop's pixels.
        others: number of other pixels.
    """

    accuracy: float
    recall: float
    true_negative_rate: float
    precision: float
    f1: float
    pixels: int
    others: int

    def as_published(self) -> dict[str, float]:
        """The published names; what is undefined is 0."""
        named = {
            'accuracy': self.accuracy,
            'true_positive_rate (recall)': self.recall,
            'true_negative_rate': self.true_negative_rate,
            'precision': self.precision,
            'f1_score': self.f1,
        }
        return {name: 0.0 if math.isnan(value) else float(value) for name, value in named.items()}


class ThresholdCounts:
    """Counts pixels of each crop and of all else by the highest threshold that their probability reaches.

    Exact: a pixel counts as found at a threshold if its probability, in float32, is not below it. Counts of parts of
    the data add up.

    Args:
        crops: K.
        thresholds: any numbers; they are sorted.
    """

    def __init__(self, crops: int, thresholds: Sequence[float]) -> None:
        self.thresholds = np.unique(np.asarray(thresholds, np.float32))
        # positives and others, crop, number of thresholds reached
        self.counts = torch.zeros((2, crops, len(self.thresholds) + 1), dtype=torch.int64)

    def add(self, probabilities: Tensor, truth: Tensor) -> None:
        """Count pixels.

        Args:
            probabilities: (N, K, H, W), 0 … 1.
            truth: (N, K, H, W): 1 the crop, 0 something else, other values are left out.
        """
        levels = torch.from_numpy(self.thresholds).to(probabilities.device)
        reached = torch.bucketize(probabilities.float().contiguous(), levels, right=True)
        size = len(levels) + 1
        for crop in range(self.counts.shape[1]):
            for row, value in enumerate((1, 0)):
                held = reached[:, crop][truth[:, crop] == value]
                self.counts[row, crop] += torch.bincount(held.flatten(), minlength=size).cpu()

    def at(self, crop: int, threshold: float) -> BinaryScores:
        """Scores of a crop at one of the thresholds.

        Raises:
            ValueError: if it is none of them.
        """
        matching = np.flatnonzero(self.thresholds == np.float32(threshold))
        if not len(matching):
            raise ValueError(f'{threshold} is not among the thresholds that were counted')
        first = int(matching[0]) + 1
        positives, others = self.counts[0, crop], self.counts[1, crop]
        found, wrong = int(positives[first:].sum()), int(others[first:].sum())
        total, rest = int(positives.sum()), int(others.sum())
        return BinaryScores(
            accuracy=_ratio(found + rest - wrong, total + rest),
            recall=_ratio(found, total),
            true_negative_rate=_ratio(rest - wrong, rest),
            precision=_ratio(found, found + wrong),
            f1=_ratio(2 * found, total + found + wrong),
            pixels=total,
            others=rest,
        )

    def curve(self, crop: int) -> list[BinaryScores]:
        """Scores of a crop at every threshold."""
        return [self.at(crop, float(threshold)) for threshold in self.thresholds]

    def average_precision(self, crop: int) -> float:
        """Area below precision over recall, as steps: Σ (recall_i − recall_i+1) precision_i, from the thresholds that
        were counted; NaN without a pixel of the crop."""
        curve = self.curve(crop)
        if not curve[0].pixels:
            return float('nan')
        recall = np.array([entry.recall for entry in curve] + [0.0])
        precision = np.nan_to_num([entry.precision for entry in curve])
        return float(-(np.diff(recall) * precision).sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float('nan')


def crop_truth(labels: Tensor, crops: int, unlabelled_is_other: bool = False) -> Tensor:
    """For each crop whether a pixel is it.

    Args:
        labels: (N, H, W): 0 … K - 1 the crops, below 128 something else, 128 + k not crop k, 255 not known.
        crops: K.
        unlabelled_is_other: take what is not known for something else, as published.

    Returns:
        (N, K, H, W) int64: 1 it is, 0 it is not, 255 not known.
    """
    truth = binary_maps(labels.long(), crops)
    if unlabelled_is_other:
        truth[truth == 255] = 0
    return truth


def crop_probability(logits: Tensor, head_threshold: float | None = None) -> Tensor:
    """Probability of each class.

    Args:
        logits: scores (N, K, H, W) of a segmentor.
        head_threshold: that of its `MultiLabelHead`, whose crops are independent and whose last score stands for none
            of them: gives (N, K - 1, H, W). None: classes that exclude each other.
    """
    if head_threshold is None:
        return logits.float().softmax(1)
    return crop_probabilities(logits.float(), head_threshold)


def head_threshold(model: Mapping[str, Any]) -> float | None:
    """The decision threshold of a model's `MultiLabelHead`, from its config; None if it has another head."""
    head = model.get('segmentor', model).get('decode_head') or {}
    return float(head.get('threshold', 0.5)) if head.get('type') == 'MultiLabelHead' else None


@METRICS.register_module()
class OneVersusRestMetric(BaseMetric):
    """Each crop against all else: at one threshold, and the best there is; with curves.

    Args:
        threshold: probability from which a pixel counts as the crop; published 0.35.
        crops: crops to be scored, by name; None for all that the scores tell apart.
        head_threshold: of the model's `MultiLabelHead`; None for heads whose classes exclude each other.
        own_samples: score a crop only on samples whose meta information `crop` says that they are about it, as
            published, where each crop is evaluated on its own part of the data. `ISRCDataset` says it, and
            `PackSeriesInputs` hands it on unless `meta_keys` leaves it out.
        unlabelled_is_other: take pixels that are not labelled for something else, as published; then precision is too
            low by what nobody marked.
        out_dir: folder for `results_<crop>_Threshold_<threshold>_<day-month-year>.json` with the published names,
            `thresholds.csv`, and `pr_curves.png`. None writes nothing.
        prefix: put before each name.
        collect_device: of mmengine's interface; counts are summed where they are.

    Raises:
        ValueError: if the threshold is no number from 0 to 1.

    Returns of `evaluate`: for each crop 'F1/<crop>', 'precision/<crop>', 'recall/<crop>' at the threshold, 'AP/<crop>';
    and 'mean_F1', 'mean_AP' over the crops with pixels. NaN where undefined.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        crops: Sequence[str] | None = None,
        head_threshold: float | None = None,
        own_samples: bool = False,
        unlabelled_is_other: bool = False,
        out_dir: str | None = None,
        prefix: str | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        # An empty prefix is meant; without one, mmengine warns at every start.
        self.default_prefix = ''
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not 0 <= threshold <= 1:
            raise ValueError(f'a threshold is a probability from 0 to 1, got {threshold}')
        self.threshold = threshold
        self.crops = crops
        self.head_threshold = head_threshold
        self.own_samples = own_samples
        self.unlabelled_is_other = unlabelled_is_other
        self.out_dir = out_dir
        self._counts: ThresholdCounts | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch.

        Args:
            data_batch: not used.
            data_samples: what the segmentor returns in mode 'predict'.

        Raises:
            ValueError: if the batch has no labels, does not say which one crop each of its samples is about, or was
                predicted without numbers; if `crops` names others than there are.
        """
        for sample in data_samples:
            if sample.get('targets') is None:
                raise ValueError('these data have no labels to compare with: evaluate a labelled split')
            probabilities = crop_probability(torch.as_tensor(sample['logits']), self.head_threshold)
            # They would count as found at every threshold.
            if bool(probabilities.isnan().any()):
                raise ValueError('the scores of the network hold NaN: its training diverged, or its input is damaged')
            labels = torch.as_tensor(sample['targets']).to(probabilities.device)
            truth = crop_truth(labels, probabilities.shape[1], self.unlabelled_is_other)
            if self.own_samples:
                self._leave_others(truth, sample['metas'])
            self._counter(probabilities.shape[1]).add(probabilities, truth)

    def _leave_others(self, truth: Tensor, metas: Sequence[Any]) -> None:
        names = self._names(truth.shape[1])
        for index, meta in enumerate(metas):
            crop = meta.get('crop')
            if crop not in names:
                raise ValueError(
                    'own_samples: '
                    + (f'a sample is about {crop!r}, none of {names}' if crop else 'samples do not say their crop')
                    + ": take a dataset each of whose samples is about one crop (ISRCDataset without 'all_crops'), and "
                    "have 'crop' in the meta_keys of PackSeriesInputs in the test pipeline"
                )
            for number, name in enumerate(names):
                if name != crop:
                    truth[index, number] = 255

    def _counter(self, crops: int) -> ThresholdCounts:
        if self._counts is None:
            steps = np.arange(_STEPS + 1) / _STEPS
            self._counts = ThresholdCounts(crops, [*steps, self.threshold])
            # A misspelt name is told with the first batch rather than after the last.
            self._chosen()
        return self._counts

    def _names(self, crops: int) -> list[str]:
        names = list((self.dataset_meta or {}).get('classes') or map(str, range(crops)))
        return names[:crops]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores of what was counted in this process; `results` is not used."""
        return self._flatten(self._chosen()) if self._counts is not None else {}

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum the counts of all processes, print a table, write the files, return the scores and start afresh."""
        classes = (self.dataset_meta or {}).get('classes') or ()
        counts = self._counter(len(classes) - (self.head_threshold is not None)).counts
        all_reduce(counts, op='sum')
        chosen = self._chosen()
        if is_main_process():
            self._report(chosen)
            if self.out_dir is not None:
                self._write(Path(self.out_dir), chosen)
        metrics = self._flatten(chosen)
        self._counts = None
        self.results.clear()
        return {f'{self.prefix}/{name}' if self.prefix else name: value for name, value in metrics.items()}

    def _chosen(self) -> dict[str, int]:
        """Crop -> its number."""
        assert self._counts is not None
        names = self._names(self._counts.counts.shape[1])
        unknown = [name for name in self.crops or () if name not in names]
        if unknown:
            raise ValueError(f'crops names {unknown}, the crops are {names}')
        return {name: number for number, name in enumerate(names) if self.crops is None or name in self.crops}

    def _flatten(self, chosen: dict[str, int]) -> dict[str, float]:
        assert self._counts is not None
        metrics: dict[str, float] = {}
        for name, number in chosen.items():
            at = self._counts.at(number, self.threshold)
            metrics |= {f'F1/{name}': at.f1, f'precision/{name}': at.precision, f'recall/{name}': at.recall}
            metrics[f'AP/{name}'] = self._counts.average_precision(number)
        present = [name for name, number in chosen.items() if self._counts.at(number, self.threshold).pixels]
        for score in ('F1', 'AP'):
            # A crop of which nothing was found scores 0.
            values = [np.nan_to_num(metrics[f'{score}/{name}']) for name in present]
            metrics[f'mean_{score}'] = float(np.mean(values)) if values else float('nan')
        return metrics

    def _best(self, number: int) -> tuple[float, BinaryScores]:
        assert self._counts is not None
        curve = self._counts.curve(number)
        best = int(np.argmax(np.nan_to_num([entry.f1 for entry in curve])))
        return float(self._counts.thresholds[best]), curve[best]

    def _report(self, chosen: dict[str, int]) -> None:
        from prettytable import PrettyTable

        assert self._counts is not None
        table = PrettyTable(['crop', 'pixels', 'others', 'precision %', 'recall %', 'F1 %', 'AP %', 'best F1 %', 'at'])
        table.align = 'r'
        table.align['crop'] = 'l'
        for name, number in chosen.items():
            at, (threshold, best) = self._counts.at(number, self.threshold), self._best(number)
            area = self._counts.average_precision(number)
            figures = [_percent(value) for value in (at.precision, at.recall, at.f1, area)]
            highest = [_percent(best.f1), f'{threshold:.2f}'] if at.pixels else ['-', '-']
            table.add_row([name, at.pixels, at.others, *figures, *highest])
        unknown = 'count as something else' if self.unlabelled_is_other else 'do not count'
        print_log(
            f'\n{table.get_string()}\nEach crop against all else, at a probability of {self.threshold:g} or more; '
            f'pixels that are not labelled {unknown}. AP: area below precision over recall. The best threshold is '
            'that of these data: choose it on others.',
            'current',
        )

    def _write(self, folder: Path, chosen: dict[str, int]) -> None:
        from mmsits.visualization.threshold_curves import draw_threshold_curves

        assert self._counts is not None
        date = datetime.date.today().strftime('%d-%m-%Y')
        lines = ['crop,threshold,precision,recall,f1,accuracy,true_negative_rate,pixels,others']
        curves = {}
        for name, number in chosen.items():
            curve = self._counts.curve(number)
            if curve[0].pixels:
                curves[name] = curve
            content = {f'{name.capitalize()}_Test': self._counts.at(number, self.threshold).as_published()}
            file = f'results_{name.replace(" ", "_")}_Threshold_{self.threshold:g}_{date}.json'
            fileio.put(json.dumps(content, indent=4).encode(), folder / file)
            for level, entry in zip(self._counts.thresholds, curve, strict=True):
                figures = (entry.precision, entry.recall, entry.f1, entry.accuracy, entry.true_negative_rate)
                cells = ','.join('' if math.isnan(value) else f'{value:.6f}' for value in figures)
                lines.append(f'{name},{level:.6g},{cells},{entry.pixels},{entry.others}')
        fileio.put(('\n'.join(lines) + '\n').encode(), folder / 'thresholds.csv')
        if curves:
            picture = draw_threshold_curves(self._counts.thresholds, curves, self.threshold)
            fileio.put(picture, folder / 'pr_curves.png')


def _percent(value: float) -> str:
    return '-' if math.isnan(value) else f'{100 * value:.2f}'
