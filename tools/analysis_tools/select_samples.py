#!/usr/bin/env python3
"""Choose the fields or points to label next: where the network is unsure, or what is like nothing labelled yet.

    python tools/predict.py CONFIG CHECKPOINT --s2 FOLDER --parcels fields.gpkg --out map/
    python tools/analysis_tools/select_samples.py map/parcels.gpkg --count 50 --spacing 1000 --labelled crop \\
        --out next.gpkg

Takes what `tools/predict.py --parcels` has written, or any vector file with a probability for each class in columns p_…
(core-set by --features does without).

Strategies: `entropy` and `margin` take the least certain, `core-set` one after the other what lies farthest from
everything labelled or chosen, by the columns of --features, each brought to deviation 1, or by the probabilities.
--spacing keeps choices apart from each other and from what is labelled. Rows that have a value in the column of
--labelled are not chosen.

Written is a vector file of the chosen, best first: all columns, and `rank`, `score`, `strategy`. `class_name`, if it is
there, says what the network takes them for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mmsits.datasets.errors import DataError
from mmsits.engine import ConfigError
from mmsits.engine.command_line import run_tool
from mmsits.labelling import choose, core_set_order, entropy_scores, margin_scores

STRATEGIES = ('entropy', 'margin', 'core-set')
ADDED = ('rank', 'score', 'strategy')
DRIVERS = {'.gpkg': 'GPKG', '.geojson': 'GeoJSON', '.shp': 'ESRI Shapefile', '.fgb': 'FlatGeobuf'}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('file', type=Path, help='fields or points with probabilities')
    add('--layer', help='of the file, where it has several')
    add('--strategy', choices=STRATEGIES, default='entropy', help='default: %(default)s')
    add('--count', type=int, default=50, help='how many to choose (default: %(default)s)')
    add('--spacing', type=float, default=0.0, help='least distance between choices, in metres (default: %(default)s)')
    add('--labelled', metavar='COLUMN', help='holds the class of what is labelled, nothing elsewhere')
    add('--prefix', default='p_', help='of the columns of probabilities (default: %(default)s)')
    add('--features', nargs='+', metavar='COLUMN', help='for core-set (default: the probabilities)')
    add('--out', type=Path, required=True, help='.gpkg, .geojson, .shp or .fgb')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def read_candidates(arguments: argparse.Namespace) -> Any:
    import geopandas

    if not arguments.file.is_file():
        raise DataError('there is no such file', path=arguments.file, hint='Give what tools/predict.py has written.')
    options = {} if arguments.layer is None else dict(layer=arguments.layer)
    frame = geopandas.read_file(arguments.file, **options)
    if arguments.labelled is not None and arguments.labelled not in frame.columns:
        raise DataError(
            f'no column {arguments.labelled!r}; there are {list(frame.columns)}',
            path=arguments.file,
            hint='Correct --labelled.',
        )
    if frame.crs is None and arguments.spacing > 0:
        raise DataError(
            'the file does not say its reference system, so no distance is known',
            path=arguments.file,
            hint='Assign it, or leave --spacing out.',
        )
    return frame


def probabilities_of(frame: Any, arguments: argparse.Namespace) -> np.ndarray:
    """Probabilities (N,K), NaN where unknown."""
    names = [name for name in frame.columns if name.startswith(arguments.prefix)]
    if len(names) < 2:
        raise DataError(
            f'two or more columns {arguments.prefix}… with the probabilities of classes are needed, found {names}',
            path=arguments.file,
            hint='tools/predict.py --parcels writes them; --prefix names others.',
        )
    return _numbers(frame, names, arguments.file)


def _numbers(frame: Any, names: list[str], path: Path) -> np.ndarray:
    try:
        return frame[names].to_numpy(np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f'columns of numbers are needed ({error})', path=path, hint='Name others.') from error


def features_of(frame: Any, arguments: argparse.Namespace) -> np.ndarray:
    """What a core-set is chosen by, (N,F); not finite where unknown."""
    if arguments.features is None:
        # Of two rows of probabilities Hellinger's distance: small ones count, too.
        return np.sqrt(probabilities_of(frame, arguments))
    values = _numbers(frame, arguments.features, arguments.file)
    known = values[np.isfinite(values).all(axis=1)]
    if not len(known):
        return values
    deviation = known.std(axis=0)
    return (values - known.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def places_of(frame: Any) -> np.ndarray:
    """Middles in metres, (N,2); NaN without geometry."""
    points = frame.geometry.representative_point()
    if frame.crs is not None and not _true_metres(frame.crs):
        points = points.to_crs(frame.estimate_utm_crs())
    return np.column_stack([points.x, points.y])


def _true_metres(crs: Any) -> bool:
    """Whether distances in a reference system are (about) metres on the ground; Mercator's grow towards the poles."""
    if not (crs.is_projected and crs.axis_info[0].unit_name == 'metre'):
        return False
    method = crs.coordinate_operation.method_name if crs.coordinate_operation is not None else ''
    return 'Pseudo Mercator' not in method and not method.startswith('Mercator')


def main(arguments: argparse.Namespace) -> None:
    if arguments.out.suffix.lower() not in DRIVERS:
        raise ConfigError(f'--out {arguments.out}: one of {", ".join(DRIVERS)} is written')
    if arguments.count < 1 or arguments.spacing < 0:
        raise ConfigError('--count must be 1 or more, --spacing not negative')
    if arguments.features and arguments.strategy != 'core-set':
        raise ConfigError(f'--features are for --strategy core-set, not {arguments.strategy}')
    frame = read_candidates(arguments)
    by_distance = arguments.strategy == 'core-set'
    judged = features_of(frame, arguments) if by_distance else probabilities_of(frame, arguments)
    places = places_of(frame)
    labelled = np.zeros(len(frame), bool)
    if arguments.labelled is not None:
        column = frame[arguments.labelled]
        labelled = (column.notna() & (column.astype(str).str.strip() != '')).to_numpy()
    placed = np.isfinite(places).all(axis=1)
    usable = np.isfinite(judged).all(axis=1) & placed
    candidates = np.flatnonzero(usable & ~labelled)
    if not len(candidates):
        raise DataError(
            f'nothing to choose from: of {len(frame)} rows {int(labelled.sum())} are labelled, '
            f'{int((~usable).sum())} have no {"features" if arguments.features else "probabilities"} or no geometry',
            path=arguments.file,
        )
    spaced: dict[str, Any] = dict(spacing=arguments.spacing, taken=places[labelled & placed])
    if by_distance:
        known = judged[labelled & np.isfinite(judged).all(axis=1)]
        chosen, scores = core_set_order(judged[candidates], arguments.count, known, places=places[candidates], **spaced)
        scores = np.where(np.isinf(scores), np.nan, scores)
    else:
        of = entropy_scores if arguments.strategy == 'entropy' else margin_scores
        values = of(judged[candidates])
        chosen = choose(values, places[candidates], arguments.count, **spaced)
        scores = values[chosen]
    if not len(chosen):
        raise DataError(
            f'none of {len(candidates)} candidates lies {arguments.spacing:g} m from all that is labelled',
            path=arguments.file,
            hint='Take a smaller --spacing.',
        )
    write(frame.iloc[candidates[chosen]], scores, arguments)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f'{arguments.out}: {len(chosen)} of {len(candidates)} candidates, by {arguments.strategy}')
    if len(chosen) < arguments.count:
        console.print(f'No more lie {arguments.spacing:g} m apart: a smaller --spacing gives more.')


def write(chosen: Any, scores: np.ndarray, arguments: argparse.Namespace) -> None:
    frame = chosen.drop(columns=[name for name in ADDED if name in chosen.columns])
    frame = frame.assign(rank=np.arange(1, len(frame) + 1), score=scores, strategy=arguments.strategy)
    # Written beside and renamed, so that a file of that name is whole.
    temporary = arguments.out.with_name(f'{arguments.out.stem}_part{arguments.out.suffix}')
    temporary.unlink(missing_ok=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    driver = DRIVERS[arguments.out.suffix.lower()]
    named = dict(layer=arguments.out.stem) if driver == 'GPKG' else {}
    frame.to_file(temporary, driver=driver, **named)
    for part in temporary.parent.glob(f'{temporary.stem}.*'):
        part.replace(arguments.out.with_suffix(part.suffix))


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
