"""Which classes two datasets share in the crop nomenclature HCAT, and what is merged or dropped.

    python tools/analysis_tools/match_classes.py my_source.py my_target.py --level 5
    python tools/analysis_tools/match_classes.py pastis us-cdl
    python tools/analysis_tools/match_classes.py my_fields.py pastis --csv my_codes.csv

Each side is a config (the classes of its training data), the name of a built-in list of classes (--list names them), or
a CSV file with the columns code, name and hcat. The last lines are settings to copy into a config.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets.inspection import SPLITS, build_dataset, dataset_configs
from mmsits.datasets.nomenclature import ClassMatch, code_list_names, match_classes, read_code_list
from mmsits.engine import load_config
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('first', nargs='?', help='config, name of a list, or CSV file')
    parser.add_argument('second', nargs='?', help='the same')
    parser.add_argument('--level', type=int, default=5, help='level of HCAT: 4 groups, 5 crops (default), 6 seasons')
    parser.add_argument('--classes', nargs='+', help='merged classes, codes or names of HCAT, instead of a level')
    parser.add_argument('--keep', nargs='+', default=[], help='classes that are matched by their names')
    parser.add_argument('--csv', type=Path, help='codes of the classes of configs whose datasets name no list')
    parser.add_argument('--split', choices=SPLITS, default='train', help='data loader of the configs (default: train)')
    parser.add_argument('--list', action='store_true', help='print the built-in lists')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides for both configs')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    arguments = parser.parse_args()
    if not arguments.list and arguments.second is None:
        parser.error('two configs, lists or CSV files are needed (--list names the built-in lists)')
    return arguments


def main(arguments: argparse.Namespace) -> None:
    if arguments.list:
        for name in code_list_names():
            print(f'{name}: {", ".join(read_code_list(name).names)}')
        return
    with building():
        sides = [_codes(side, arguments) for side in (arguments.first, arguments.second)]
        match = match_classes(
            *sides,
            names=_names(arguments.first, arguments.second),
            level=arguments.level,
            classes=arguments.classes,
            keep=arguments.keep,
        )
    print(match.report())
    print(_settings(match))


def _codes(side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    if side in code_list_names() or Path(side).suffix == '.csv':
        codes = read_code_list(side)
        return codes.codes(codes.names)
    config = load_config(side, arguments.cfg_options)
    dataset = build_dataset(_with_list(next(iter(dataset_configs(config, [arguments.split]).values())), arguments.csv))
    return dict(dataset.class_codes())


def _with_list(config: dict, codes: Path | None) -> dict:
    """The config of a dataset, or of those it merges, with the list of codes where they have none."""
    if codes is None:
        return config
    if 'datasets' in config:
        return {**config, 'datasets': [_with_list(part, codes) for part in config['datasets']]}
    kind = _kind(config)
    own = config.get('code_list') or getattr(kind, 'CODE_LIST', None)
    return config if own else {**config, 'code_list': str(codes)}


def _kind(config: dict) -> Any:
    from mmseg.registry import DATASETS

    return DATASETS.get(config['type']) if isinstance(config['type'], str) else config['type']


def _names(first: str, second: str) -> tuple[str, str]:
    one, other = (Path(side).stem for side in (first, second))
    return (one, other) if one != other else (f'{one} (1)', f'{other} (2)')


def _settings(match: ClassMatch) -> str:
    """Settings for configs: with all merged classes, and with those that both sides have."""
    lines = []
    for title, labels in (('all classes', range(len(match.classes))), ('shared classes', match.shared)):
        chosen = [(match.classes[label], match.codes[label]) for label in labels]
        settings = dict(classes=[name for name, code in chosen if code is not None])
        if kept := [name for name, code in chosen if code is None]:
            settings['keep'] = kept
        arguments = ', '.join(f'{key}={value!r}' for key, value in settings.items())
        lines.append(f'\n# {title}: {len(chosen)}\nnomenclature=dict({arguments})')
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
