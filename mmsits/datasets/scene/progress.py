"""How far the reading of a scene has come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dist import is_main_process

from .labels import Progress


@contextmanager
def reading_progress(name: str) -> Iterator[Progress]:
    """A bar on the screen that goes away when all is done; nothing but on the main process."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not (is_main_process() and console.is_terminal)) as bar:
        task = bar.add_task(f'reading {name}', total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
