"""Cut regions that were exported from Earth Engine, with published masks, into patches that `ISRCDataset` reads.

    python tools/dataset_converters/cut_exports.py exports/tomato data/isrc/tomato

The root of one crop holds `{s1,s2}/<1..6>/<region>.tif` and `crop_map/<region>.tif` with 0 and 255. Masks are brought
to the size of the images. Windows without an image are named; they count as not observed. A run that was stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.polygons.exports import cut_exported, exported_regions, missing_windows
from mmsits.engine.command_line import progress_bar, run_tool


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description='Cut regions that were exported from Earth Engine into patches.')
    add = parser.add_argument
    add('root', type=Path, help='root of one crop')
    add('out', type=Path, help='root to write')
    add('--patch-size', type=int, default=64, help='pixels (default: %(default)s)')
    add(
        '--as-published',
        action='store_true',
        help='the published grid, which drops what is left over; values cut to -25 … 15, 0 for what is missing',
    )
    add('--traceback', action='store_true', help='show errors in full')
    return parser


def main(options: argparse.Namespace) -> None:
    """Run the command."""
    rules = dict(grid='published', limits=(-25.0, 15.0), fill=0.0) if options.as_published else {}
    names = exported_regions(options.root)
    patches = 0
    with progress_bar('regions') as progress:
        for number, name in enumerate(names):
            patches += cut_exported(options.root, name, options.out, options.patch_size, **rules)
            progress(number + 1, len(names))
    print(f'{options.out}: {patches} marked patches of {len(names)} regions')
    incomplete = sum(bool(missing_windows(options.root, name)) for name in names)
    if incomplete:
        print(
            f'{incomplete} of these regions lack images, see the warnings: export them, or train without these months'
        )


if __name__ == '__main__':
    sys.exit(run_tool(main, make_parser().parse_args()))
