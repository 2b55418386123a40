#!/usr/bin/env python3
"""Combine the results of several runs, folds or seeds, as `tools/test.py --out FILE.json` writes them.

Prints the scores of each, their mean and standard deviation (what is reported over seeds), and those of the summed
confusion matrix (what is reported over folds).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from mmsits.evaluation.segmentation_metric import AverageOver, SegmentationScores, scores

SHOWN = ('OA', 'mIoU', 'macro_F1', 'kappa')


def read_result(file: Path) -> dict:
    """Content of a result file; ends the program with a sentence if it is none."""
    try:
        result = json.loads(file.read_text())
    except OSError as error:
        raise SystemExit(f'{file} cannot be read: {error.strerror}.') from error
    except ValueError as error:
        raise SystemExit(f'{file} is no JSON file: give what tools/test.py --out FILE.json has written.') from error
    if not isinstance(result, dict) or not {'classes', 'confusion_matrix'} <= result.keys():
        raise SystemExit(f'{file} holds no classes and confusion matrix: give what tools/test.py --out has written.')
    return result


def read_confusions(files: list[Path]) -> tuple[list[np.ndarray], list[str]]:
    """Confusion matrices of result files and the classes they share; ends the program where they do not agree."""
    results = [read_result(file) for file in files]
    classes = results[0]['classes']
    for file, result in zip(files, results, strict=True):
        if result['classes'] != classes:
            raise SystemExit(f'{file} has other classes than {files[0]}: these results cannot be combined.')
    return [np.array(result['confusion_matrix']) for result in results], classes


def overall_table(files: list[Path], results: list[SegmentationScores], total: SegmentationScores) -> Table:
    """One row per run, then mean ± standard deviation, then the sum."""
    table = Table('run', *SHOWN)
    rows = np.array([[result.overall[name] for name in SHOWN] for result in results])
    for file, row in zip(files, rows, strict=True):
        table.add_row(str(file), *(f'{100 * value:.1f}' for value in row))
    table.add_section()
    if len(rows) > 1:
        deviation = rows.std(0, ddof=1)
        table.add_row(
            'mean ± std', *(f'{100 * m:.1f} ± {100 * d:.1f}' for m, d in zip(rows.mean(0), deviation, strict=True))
        )
    table.add_row('summed matrices', *(f'{100 * total.overall[name]:.1f}' for name in SHOWN))
    return table


def class_table(total: SegmentationScores, classes: list[str]) -> Table:
    """IoU, F1, precision and recall per class of the summed matrix."""
    table = Table('class', 'pixels', *total.per_class, title='Summed matrices')
    for label in np.flatnonzero(total.support):
        cells = [f'{100 * np.nan_to_num(values[label]):.1f}' for values in total.per_class.values()]
        table.add_row(classes[label], str(total.support[label]), *cells)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='+', type=Path)
    parser.add_argument('--excluded-classes', nargs='+', default=[], help='rows and columns set to zero, by name')
    parser.add_argument('--average-over', choices=get_args(AverageOver), default='reference')
    args = parser.parse_args()
    confusions, classes = read_confusions(args.files)
    unknown = [name for name in args.excluded_classes if name not in classes]
    if unknown:
        parser.error(f'--excluded-classes: no class {unknown}; the classes are {classes}')
    excluded = [classes.index(name) for name in args.excluded_classes]
    results = [scores(matrix, excluded, args.average_over) for matrix in confusions]
    total = scores(np.sum(confusions, axis=0), excluded, args.average_over)
    console = Console()
    console.print(overall_table(args.files, results, total))
    console.print(class_table(total, classes))


if __name__ == '__main__':
    main()
