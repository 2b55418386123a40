"""How well is each crop known so many days before its harvest?

    python tools/analysis_tools/before_harvest.py CONFIG CHECKPOINT --days 0 30 60 90 120 --out curve

Each time the test set is predicted from what was there until then, and each crop is scored against all else. Composites
of a month are there when the month is over. The harvest is that of the sample (`harvest_date`), or of a crop calendar
by province:

    … --calendar calendar.csv --start-year 1400 [--province Fars] [--leave-out-undated]

Then each crop is cut at its own harvest; crops that the calendar does not know are left out and named. Samples of
provinces where it has no harvest of a crop are listed and refused, or with --leave-out-undated listed and not counted
for that crop. Written are before_harvest.csv, .json and .png.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis import init_model
from mmsits.datasets.crop_calendar import CropCalendar, plain_name, read_calendar
from mmsits.datasets.errors import DataError
from mmsits.datasets.transforms import HideDaysBeforeHarvest
from mmsits.engine import ConfigError, load_config, prepare_config, trust_checkpoints
from mmsits.engine.command_line import building, progress_bar, run_tool
from mmsits.engine.files import write_atomically
from mmsits.evaluation.one_versus_rest import OneVersusRestMetric, head_threshold
from mmsits.visualization.threshold_curves import draw_before_harvest

SCORES = ('F1', 'precision', 'recall', 'AP')


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config of the model; its test dataset is predicted')
    add('checkpoint')
    add('--out', type=Path, required=True, help='folder to write to')
    add('--days', type=int, nargs='+', default=[0, 15, 30, 45, 60, 90, 120, 150], help='before the harvest')
    add('--lag', type=int, help='days from an image until it is there (default: none; until a composite is complete)')
    add('--threshold', type=float, default=0.5, help='probability from which a crop counts as found')
    add('--crops', nargs='+', help='only these')
    add('--calendar', type=Path, help='crop calendar (.csv, .xlsx): harvest by crop and province')
    add('--calendar-system', choices=['jalali', 'gregorian'], default='jalali', help='default: %(default)s')
    add('--start-year', type=int, help='year in which the seasons of the calendar start')
    add('--province', help='of the samples that do not name their own')
    add(
        '--leave-out-undated',
        action='store_true',
        help='score a crop without the samples of provinces in which the calendar has no harvest of it',
    )
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    add('--trust-checkpoint', action='store_true', help='open checkpoints that hold code: only if you trust them')
    add('--traceback', action='store_true', help='show errors in full')
    return parser


def harvests_of(crop: str, calendar: CropCalendar, province: str | None) -> dict[str, str]:
    """Harvest of a crop by province, of its earliest season there; '' for samples that name no province."""
    found = known_harvests(crop, calendar)
    if not found:
        raise DataError(
            f'the calendar has no harvest of {crop}; its seasons are {calendar.seasons}',
            path=calendar.path,
            hint='Add it, or leave the crop out (--crops).',
        )
    if province is not None:
        here = next((place for place in found if plain_name(place) == plain_name(province)), None)
        if here is None:
            raise DataError(
                f'the calendar has no harvest of {crop} in {province}, but in {sorted(found)}',
                path=calendar.path,
                hint='Correct --province, or leave the crop out (--crops).',
            )
        found[''] = found[here]
    return found


def known_harvests(crop: str, calendar: CropCalendar) -> dict[str, str]:
    """Harvest of a crop by province, of its earliest season there; none where no date is known."""
    seasons = calendar.seasons_of(crop)
    found = {}
    for place in {place for season in seasons for place in calendar.entries[season]}:
        dates = [dates for season in seasons if (dates := calendar.season(season, place)) is not None]
        if dates:
            found[place] = min(entry.harvest_start for entry in dates).isoformat()
    return found


class CropDates(NamedTuple):
    """When a crop is harvested, and which samples have that date.

    Attributes:
        harvests: harvest by province, see `harvests_of`; None takes the samples' own dates.
        samples: numbers of the samples whose province has a harvest; None for all.
        undated: province ('no province named' for none) -> how many samples have none.
    """

    harvests: dict[str, str] | None = None
    samples: list[int] | None = None
    undated: Mapping[str, int] = {}


def dates_of(dataset: Any, crop: str, calendar: CropCalendar | None, province: str | None) -> CropDates:
    """The harvests of a crop in the provinces of the samples."""
    if calendar is None:
        return CropDates()
    harvests = harvests_of(crop, calendar, province)
    dated = {plain_name(name) for name in harvests}
    places = [str(dataset.get_data_info(index).get('province') or '') for index in range(len(dataset))]
    kept = [index for index, place in enumerate(places) if plain_name(place) in dated]
    undated = Counter(place or 'no province named' for place in places if plain_name(place) not in dated)
    return CropDates(harvests, kept if undated else None, dict(sorted(undated.items())))


def report_undated(dates: Mapping[str, CropDates], path: Path, leave_out: bool) -> None:
    """List the samples without a harvest of a crop; refuse them unless they are to be left out."""
    listed = '; '.join(
        f'{crop}: ' + ', '.join(f'{place} ({count})' for place, count in entry.undated.items())
        for crop, entry in dates.items()
        if entry.undated
    )
    if not listed:
        return
    if not leave_out:
        raise DataError(
            f'the calendar has no harvest for samples of these provinces (their number in brackets): {listed}',
            path=path,
            hint='Add them; name the province of samples that name none (--province); or leave these samples out of '
            'the scores of the crop: --leave-out-undated.',
        )
    print_log(f'Without a harvest of the crop, and not in its scores: {listed}', 'current', logging.WARNING)
    without = [crop for crop, entry in dates.items() if entry.samples == []]
    if without:
        raise DataError(
            f'no sample has a harvest of {", ".join(without)}', path=path, hint='Leave the crop out (--crops).'
        )


def cut_dataset(dataset: Any, days: int, dates: CropDates, lag: int | None) -> Any:
    """The dated samples of the test dataset, with what came later hidden right behind reading: what is chosen or
    interpolated afterwards does not know of it."""
    steps = list(dataset.pipeline.transforms) if hasattr(dataset, 'pipeline') else []
    if not steps:
        raise ConfigError('the test dataset of the config has no pipeline')
    place = next((i for i, step in enumerate(steps) if not type(step).__name__.startswith('Load')), len(steps))
    steps.insert(place, HideDaysBeforeHarvest(days, dates.harvests, lag))
    # What was read of the dataset's index serves all passes.
    part = copy.copy(dataset) if dates.samples is None else dataset.get_subset(dates.samples)
    part.pipeline = Compose(steps)
    return part


def scores_at(
    model: Any, cfg: Config, dataset: Any, days: int, dates: CropDates, options: argparse.Namespace
) -> dict[str, float]:
    """Scores of all crops from what was known so many days before the harvest.

    Raises:
        DataError: if nothing was known of any sample.
    """
    metric = OneVersusRestMetric(options.threshold, head_threshold=head_threshold(cfg.model))
    part = cut_dataset(dataset, days, dates, options.lag)
    loader = Runner.build_dataloader({**cfg.test_dataloader.to_dict(), 'dataset': part}, seed=0)
    metric.dataset_meta = part.metainfo
    known = False
    with torch.no_grad():
        for batch in loader:
            outputs = model.val_step(batch)
            known = known or any(bool(output['observed'].any()) for output in outputs)
            metric.process(batch, outputs)
    if not known:
        raise DataError(
            f'{days} days before the harvest nothing was there yet of any sample'
            + (f' (harvests: {dates.harvests})' if dates.harvests else ''),
            path=getattr(dataset, 'data_root', None),
            hint='Ask for fewer days (--days), or correct the year (--start-year) or the crops (--crops).',
        )
    # Without the table that `evaluate` prints, for there are many passes.
    return metric.compute_metrics([])


def curves_of(
    model: Any, cfg: Config, dataset: Any, dates: Mapping[str, CropDates], options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    """score -> crop -> its value at each of the days."""
    # Crops with one harvest are scored in one pass.
    groups: dict[str, list[str]] = {}
    for crop, entry in dates.items():
        groups.setdefault(json.dumps(entry.harvests, sort_keys=True), []).append(crop)
    curves: dict[str, dict[str, list[float]]] = {score: {crop: [] for crop in dates} for score in SCORES}
    with progress_bar('predictions') as progress:
        steps = len(options.days) * len(groups)
        for number, days in enumerate(options.days):
            for index, members in enumerate(groups.values()):
                found = scores_at(model, cfg, dataset, days, dates[members[0]], options)
                for score in SCORES:
                    for crop in members:
                        curves[score][crop].append(found[f'{score}/{crop}'])
                progress(number * len(groups) + index + 1, steps)
    return curves


def with_harvest(crops: list[str], calendar: CropCalendar) -> list[str]:
    """The crops that a calendar knows a harvest of; names the others."""
    kept = [crop for crop in crops if known_harvests(crop, calendar)]
    if not kept:
        raise DataError(
            f'the calendar has no harvest of any of {crops}; its seasons are {calendar.seasons}',
            path=calendar.path,
            hint='Name its seasons like the crops.',
        )
    if len(kept) < len(crops):
        left = ', '.join(crop for crop in crops if crop not in kept)
        print(f'Left out, the calendar has no harvest of them: {left}', file=sys.stderr)
    return kept


def write(
    folder: Path,
    curves: dict[str, dict[str, list[float]]],
    dates: Mapping[str, CropDates],
    options: argparse.Namespace,
) -> None:
    """before_harvest.csv, .json and .png."""
    lines = ['crop,days,' + ','.join(SCORES)]
    for crop in curves['F1']:
        for index, days in enumerate(options.days):
            cells = [curves[score][crop][index] for score in SCORES]
            lines.append(f'{crop},{days},' + ','.join('' if np.isnan(cell) else f'{cell:.6f}' for cell in cells))
    write_atomically(folder / 'before_harvest.csv', ('\n'.join(lines) + '\n').encode())
    plain = {
        score: {crop: [None if np.isnan(value) else value for value in values] for crop, values in by_crop.items()}
        for score, by_crop in curves.items()
    }
    left_out = {crop: entry.undated for crop, entry in dates.items() if entry.undated}
    content = dict(days=options.days, lag=options.lag, threshold=options.threshold, left_out=left_out, **plain)
    write_atomically(folder / 'before_harvest.json', json.dumps(content, indent=1, ensure_ascii=False).encode())
    drawn = present(curves)
    if drawn:
        drawn['mean'] = np.nan_to_num(list(drawn.values())).mean(axis=0).tolist()
        write_atomically(folder / 'before_harvest.png', draw_before_harvest(options.days, drawn))


def present(curves: dict[str, dict[str, list[float]]]) -> dict[str, list[float]]:
    """F1 of the crops that the test set has pixels of."""
    return {crop: values for crop, values in curves['F1'].items() if not np.isnan(curves['recall'][crop]).any()}


def table_of(curves: dict[str, list[float]], days: list[int]) -> Table:
    """F1 for the terminal."""
    table = Table('F1 %', *(f'{day} days' for day in days))
    for crop, values in curves.items():
        table.add_row(crop, *('-' if np.isnan(value) else f'{100 * value:.1f}' for value in values))
    return table


def main(options: argparse.Namespace) -> None:
    """Run the command."""
    trust_checkpoints(options.trust_checkpoint)
    if options.province is not None and options.calendar is None:
        raise ConfigError('--province goes with --calendar')
    with building():
        cfg = load_config(options.config, options.cfg_options)
        # What the training began from need not be there any more.
        cfg.load_from = options.checkpoint
        prepare_config(cfg)
        model = init_model(cfg, options.checkpoint, options.device)
        dataset = Runner.build_dataloader(copy.deepcopy(cfg.test_dataloader), seed=0).dataset
        dataset.full_init()
    held = list(dataset.metainfo['classes'])
    held = held[: len(held) - (head_threshold(cfg.model) is not None)]
    unknown = [crop for crop in options.crops or [] if crop not in held]
    if unknown:
        raise ConfigError(f'--crops: there are no {unknown}, but {held}')
    calendar = None
    if options.calendar is not None:
        calendar = read_calendar(options.calendar, options.calendar_system, options.start_year)
    crops = options.crops or (held if calendar is None else with_harvest(held, calendar))
    dates = {crop: dates_of(dataset, crop, calendar, options.province) for crop in crops}
    report_undated(dates, options.calendar, options.leave_out_undated)
    curves = curves_of(model, cfg, dataset, dates, options)
    write(options.out, curves, dates, options)
    console = Console(highlight=False, width=max(Console().width, 120))
    console.print(table_of(present(curves), options.days))
    console.print(f'Written to {options.out}', markup=False)


if __name__ == '__main__':
    sys.exit(run_tool(main, make_parser().parse_args()))
