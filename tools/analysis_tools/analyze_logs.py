"""Compare training runs: curves of losses and metrics as a picture, last and best values as a table.

    python tools/analysis_tools/analyze_logs.py work_dirs/run_a work_dirs/run_b --keys loss mIoU --out curves.png

A run that was resumed has several logs; they are joined by iteration, the later ones winning where they overlap.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

Curves = dict[str, dict[int, float]]


def read_run(path: Path) -> Curves:
    """Curves of one run: name -> iteration -> value.

    Args:
        path: A work directory, or one scalars.json.

    Raises:
        FileNotFoundError: If there is no log.
    """
    files = [path] if path.is_file() else sorted(path.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{path} holds no */vis_data/scalars.json: is it the work directory of a run?')
    curves: Curves = {}
    for file in files:
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                # The last line of a run that was killed.
                continue
            step = int(entry.get('step', entry.get('iter', 0)))
            for name, value in entry.items():
                if name not in ('step', 'iter', 'epoch') and isinstance(value, int | float):
                    curves.setdefault(name, {})[step] = float(value)
    return {name: dict(sorted(curve.items())) for name, curve in curves.items()}


def chosen_keys(runs: dict[str, Curves], keys: Sequence[str]) -> list[str]:
    """The keys to show; without a choice the loss and every metric, timings and the like left out.

    Raises:
        KeyError: If no run has one of the chosen keys.
    """
    held = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    absent = [key for key in keys if key not in held]
    if absent:
        raise KeyError(f'no run has {absent}; the logs hold {held}')
    left_out = ('time', 'data_time', 'memory', 'lr', 'base_lr', 'eta')
    return list(keys) or [name for name in held if name not in left_out and '.' not in name and '/' not in name]


def is_loss(name: str) -> bool:
    return 'loss' in name.lower()


def summarise(runs: dict[str, Curves], keys: Sequence[str]) -> str:
    """Table of last and best value (and its iteration) of each key in each run; best is least for losses."""
    from prettytable import PrettyTable

    table = PrettyTable(['run', 'value', 'last', 'at iteration', 'best', 'at'])
    table.align = 'r'
    table.align['run'] = table.align['value'] = 'l'
    for run, curves in runs.items():
        for key in keys:
            # A value that is not a number compares with nothing.
            curve = {step: value for step, value in curves.get(key, {}).items() if value == value}
            if not curve:
                continue
            last = max(curve)
            best = (min if is_loss(key) else max)(curve, key=lambda step: curve[step])
            table.add_row([run, key, f'{curve[last]:.4f}', last, f'{curve[best]:.4f}', best])
    return str(table)


def draw(runs: dict[str, Curves], keys: Sequence[str], out: Path) -> None:
    """One panel per key, one line per run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, key in zip(axes, keys, strict=False):
        for run, curves in runs.items():
            if key in curves:
                marker = 'o' if len(curves[key]) < 30 else ''
                axis.plot(list(curves[key]), list(curves[key].values()), label=run, linewidth=1.2, marker=marker, ms=3)
        axis.set(title=key, xlabel='iteration')
        axis.grid(alpha=0.3)
    for axis in axes[len(keys) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=7)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)


def name_runs(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each run: its folder's name, or the whole path where two would be called the same."""
    names = [path.resolve().name for path in paths]
    return {str(path) if names.count(name) > 1 else name: path for name, path in zip(names, paths, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Compare training runs.')
    parser.add_argument('runs', nargs='+', type=Path, help='work directories, or scalars.json files')
    parser.add_argument('--keys', nargs='+', default=[], help='what to show (default: loss and metrics)')
    parser.add_argument('--out', type=Path, help='draw the curves into this picture (.png, .svg, .pdf)')
    args = parser.parse_args(arguments)
    try:
        runs = {name: read_run(path) for name, path in name_runs(args.runs).items()}
        keys = chosen_keys(runs, args.keys)
    except (FileNotFoundError, KeyError) as error:
        print(f'error: {error.args[0]}', file=sys.stderr)
        return 1
    print(summarise(runs, keys))
    if args.out:
        draw(runs, keys, args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
