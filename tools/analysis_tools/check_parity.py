#!/usr/bin/env python3
"""Compare this implementation with golden values of the published ones.

Loads every golden file of a folder that it knows, runs our implementation built from the file's own description, prints
the largest differences and the tolerance of each output, and names the files it does not know. Exits with 1 if anything
differs by more than its tolerance.

    python tools/analysis_tools/check_parity.py tests/data/parity --match 'utae*'
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmsits.parity import CheckReport, check_file


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of golden npz files')
    parser.add_argument('--match', default='*', help="shell pattern of file names without ending, e.g. 'utae*'")
    return parser.parse_args()


def print_report(report: CheckReport) -> None:
    print(f'{report.name}: {"pass" if report.passed else "FAIL"}')
    for c in report.comparisons:
        verdict = 'pass' if c.passed else f'FAIL {c.note}'
        tolerance = f'atol {c.atol:g} rtol {c.rtol:g}' if c.atol or c.rtol else 'exact'
        print(f'  {c.name:<55} abs {c.absolute:9.2e}  rel {c.relative:9.2e}  {tolerance:<22} {verdict}')
    if report.not_compared:
        print(f'  not compared: {", ".join(report.not_compared)}')


def main() -> int:
    args = parse_args()
    paths = sorted(args.folder.glob(f'{args.match}.npz'))
    if not paths:
        print(f'no golden file {args.match}.npz in {args.folder}', file=sys.stderr)
        return 1
    torch.set_num_threads(1)  # as the golden values were made
    unknown, failed, compared = [], [], 0
    for path in paths:
        try:
            report = check_file(path)
        except Exception as error:  # One file that cannot be run is a failure, and the others are wanted too.
            print(f'{path.stem}: FAIL, {type(error).__name__}: {error}')
            failed.append(path.stem)
            continue
        if report is None:
            unknown.append(path.name)
            continue
        print_report(report)
        compared += len(report.comparisons)
        if not report.passed:
            failed.append(report.name)
    if unknown:
        print(f'no check for: {", ".join(unknown)}')
    print(f'{compared} outputs compared in {len(paths) - len(unknown)} files; failed: {", ".join(failed) or "none"}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
