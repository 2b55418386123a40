#!/usr/bin/env python3
"""Gather results of adaptation methods, scenarios and folds into one table: mean ± standard deviation over the folds.

    python tools/analysis_tools/adaptation_table.py work_dirs/timematch --out table.md table.csv
    python tools/analysis_tools/adaptation_table.py runs --pattern '{method}/{scenario}/seed{fold}.json' \
        --methods source_only timematch --scenarios DK1-FR1 DK1-FR2

Results are what `tools/test.py --out FILE.json` writes; `--pattern` says where in the folder they lie and what of their
path is method, scenario and fold (or seed), by default as the commands in configs/timematch/README.md name them. Scores
are per cent; the deviation is that of the population (divided by the number of folds), as published. The average is
over scenarios, fold by fold, and given only where all scenarios have the same folds. What is not there is 'missing';
where folds are missing, their number stands behind the score.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from mmsits.datasets.errors import DataError
from mmsits.engine import ConfigError
from mmsits.engine.command_line import run_tool
from mmsits.engine.files import write_atomically

PATTERN = '{scenario}/fold{fold}/{method}/target.json'
#: What each field of a pattern may stand for: never more than a folder's or file's name.
FIELDS = {'method': r'[^/]+?', 'scenario': r'[^/_]+', 'fold': r'[0-9]+'}
MISSING = 'missing'
AVERAGE = 'average'
Results = dict[tuple[str, str, int], float]


class Cell(NamedTuple):
    """A method's score in a scenario.

    Attributes:
        scores: by fold, 0 to 1.
        folds: how many there should be.
    """

    scores: dict[int, float]
    folds: int

    def __str__(self) -> str:
        """Mean ± deviation in per cent."""
        if not self.scores:
            return MISSING
        values = 100 * np.array(list(self.scores.values()))
        text = f'{values.mean():.1f}' if self.folds == 1 else f'{values.mean():.1f} ± {values.std():.1f}'
        return text if len(values) == self.folds else f'{text} ({len(values)} of {self.folds})'


def compile_pattern(pattern: str) -> re.Pattern:
    """The pattern as a regular expression of paths.

    Raises:
        ConfigError: if it lacks a field or has another.
    """
    pieces = re.split(r'(\{\w+\}|\*)', pattern)
    names = [piece[1:-1] for piece in pieces if piece.startswith('{')]
    if sorted(names) != sorted(FIELDS):
        raise ConfigError(f'--pattern {pattern!r}: {{method}}, {{scenario}} and {{fold}} are needed, once each')
    text = ''
    for piece in pieces:
        if piece.startswith('{'):
            text += f'(?P<{piece[1:-1]}>{FIELDS[piece[1:-1]]})'
        else:
            text += '[^/]*' if piece == '*' else re.escape(piece)
    return re.compile(text)


def read_score(path: Path, score: str) -> float:
    """One overall score of a result file.

    Raises:
        DataError: if it is no such file, or has no such score.
    """
    hint = 'Give what tools/test.py --out FILE.json has written.'
    try:
        overall = json.loads(path.read_text())['overall']
        value = overall.get(score)
    except OSError as error:
        raise DataError(f'it cannot be read: {error.strerror}', path=path, hint=hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError('it holds no overall scores', path=path, hint=hint) from error
    if not isinstance(value, int | float):
        known = ', '.join(name for name, held in overall.items() if held is not None)
        raise DataError(f'it has no score {score!r}, but {known or "none"}', path=path, hint='Choose another --score.')
    return float(value)


def gather(folder: Path, pattern: str, score: str) -> Results:
    """Scores by method, scenario and fold.

    Raises:
        DataError: if the folder holds no result, or a file is damaged.
    """
    expression = compile_pattern(pattern)
    results: Results = {}
    for path in sorted(folder.rglob(f'*{Path(pattern).suffix}')):
        found = expression.fullmatch(path.relative_to(folder).as_posix())
        if found:
            results[found['method'], found['scenario'], int(found['fold'])] = read_score(path, score)
    if not results:
        raise DataError(f'no result lies there as {pattern}', path=folder, hint='Say where they are: --pattern.')
    return results


def make_table(
    results: Results, methods: Sequence[str], scenarios: Sequence[str], folds: Sequence[int]
) -> dict[str, dict[str, Cell]]:
    """Method to scenario (and the average, if there are several) to cell."""
    table = {}
    for method in methods:
        row = {}
        for scenario in scenarios:
            held = {fold: results[method, scenario, fold] for fold in folds if (method, scenario, fold) in results}
            row[scenario] = Cell(held, len(folds))
        if len(scenarios) > 1:
            row[AVERAGE] = Cell(average(row), len(folds))
        table[method] = row
    return table


def average(row: Mapping[str, Cell]) -> dict[int, float]:
    """Mean over scenarios of each fold; empty where scenarios have different folds."""
    folds = [set(cell.scores) for cell in row.values()]
    if any(held != folds[0] for held in folds):
        return {}
    return {fold: float(np.mean([cell.scores[fold] for cell in row.values()])) for fold in sorted(folds[0])}


def as_markdown(table: Mapping[str, Mapping[str, Cell]], columns: Sequence[str]) -> str:
    lines = ['| method | ' + ' | '.join(columns) + ' |', '| --- |' + ' ---: |' * len(columns)]
    lines += [
        f'| {method} | ' + ' | '.join(str(row[column]) for column in columns) + ' |' for method, row in table.items()
    ]
    return '\n'.join(lines) + '\n'


def as_csv(table: Mapping[str, Mapping[str, Cell]], score: str) -> str:
    """One line for each cell, scores in per cent; empty where missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['method', 'scenario', 'score', 'mean', 'std', 'folds', 'expected_folds', 'values'])
    for method, row in table.items():
        for scenario, cell in row.items():
            values = 100 * np.array(list(cell.scores.values()))
            figures = [f'{values.mean():.4f}', f'{values.std():.4f}'] if len(values) else ['', '']
            listed = ' '.join(f'{fold}:{100 * value:.4f}' for fold, value in cell.scores.items())
            writer.writerow([method, scenario, score, *figures, len(values), cell.folds, listed])
    return text.getvalue()


def as_text(table: Mapping[str, Mapping[str, Cell]], columns: Sequence[str]) -> str:
    shown = Table('method')
    for column in columns:
        shown.add_column(column, justify='right', no_wrap=True)
    for method, row in table.items():
        shown.add_row(method, *(str(row[column]) for column in columns))
    # As wide as it needs to be, whatever the terminal.
    console = Console(file=io.StringIO(), width=40 + 24 * len(columns), highlight=False)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('folder', type=Path, help='where the results lie')
    add('--pattern', default=PATTERN, help='path of a result below the folder, * for anything; default: %(default)s')
    add('--score', default='macro_F1', help='of the overall ones: OA, mIoU, macro_F1 …; default: %(default)s')
    add('--methods', nargs='+', help='rows, in order (default: all that are there)')
    add('--scenarios', nargs='+', help='columns, in order (default: all that are there)')
    add('--folds', nargs='+', type=int, help='folds that there should be (default: all that occur)')
    add('--out', nargs='+', type=Path, default=[], help='also write the table: .txt, .md and .csv')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    for path in arguments.out:
        if path.suffix not in ('.txt', '.md', '.csv'):
            raise ConfigError(f'--out {path}: a table is written as .txt, .md or .csv')
    if not arguments.folder.is_dir():
        raise DataError('there is no such folder', path=arguments.folder, hint='Give the folder of the runs.')
    results = gather(arguments.folder, arguments.pattern, arguments.score)
    methods, scenarios, folds = (
        given or sorted({key[position] for key in results})
        for position, given in enumerate((arguments.methods, arguments.scenarios, arguments.folds))
    )
    table = make_table(results, methods, scenarios, folds)
    columns = [*scenarios, AVERAGE] if len(scenarios) > 1 else scenarios
    text = as_text(table, columns)
    print(f'{arguments.score}, per cent\n{text}', end='')
    unknown = [key for key in results if key[0] not in methods or key[1] not in scenarios or key[2] not in folds]
    if unknown:
        print(f'{len(unknown)} results are of methods, scenarios or folds that were not asked for.')
    for path in arguments.out:
        made = {
            '.txt': lambda: text,
            '.md': lambda: as_markdown(table, columns),
            '.csv': lambda: as_csv(table, arguments.score),
        }
        write_atomically(path, made[path.suffix]().encode())


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
