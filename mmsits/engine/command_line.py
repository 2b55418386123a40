"""How tools end: with a sentence where the user can put things right, with a trace where the library is at fault."""

from __future__ import annotations

import argparse
import difflib
import errno
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmsits.datasets.errors import DataError
from mmsits.engine.config import constructor_arguments
from mmsits.engine.errors import CheckpointError, ConfigError, DiskWriteError

#: Exit status where the config or command line is at fault, and where data, files or the disk are.
CONFIG_FAULT, DATA_FAULT = 2, 1
_SYSTEM_ERRORS = (DiskWriteError, FileNotFoundError, PermissionError)


class _BuildError(Exception):
    """Something in the config could not be built."""


@contextmanager
def building() -> Iterator[None]:
    """Within this block, errors are taken as the config's: wrong names, arguments that a class does not take."""
    try:
        yield
    except (ConfigError, CheckpointError, DataError, OSError):
        raise
    except (TypeError, ValueError, KeyError, AttributeError, ImportError, AssertionError) as error:
        raise _BuildError(_wrong_name(error) or _plain(error)) from error


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, with the time that is left.

    Args:
        name: what is being done.

    Yields:
        What is to be called with the number of steps done and in all.
    """
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def run_tool(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Run a tool's main function and turn errors that a user can put right into a sentence.

    Args:
        main: Takes the parsed arguments.
        arguments: With `traceback`, errors are shown in full.

    Returns:
        Exit status: 0, 1 (data, checkpoint, disk), 2 (config).
    """
    try:
        main(arguments)
    except (ConfigError, _BuildError) as error:
        return _fail(error, CONFIG_FAULT, arguments)
    except (TypeError, KeyError) as error:
        # Datasets and loops are built when the run starts: a wrong name in the config shows only then.
        if not (advice := _wrong_name(error)):
            raise
        return _fail(_BuildError(advice), CONFIG_FAULT, arguments)
    except OSError as error:
        # Whatever was being written when the disk ran full; other failures of the system keep their trace.
        if not isinstance(error, _SYSTEM_ERRORS) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(error, DATA_FAULT, arguments)
    except (DataError, CheckpointError, ValueError) as error:
        return _fail(error, DATA_FAULT, arguments)
    return 0


def _fail(error: Exception, status: int, arguments: argparse.Namespace) -> int:
    if arguments.traceback:
        traceback.print_exc()
    else:
        print(f'error: {_plain(error)}', file=sys.stderr)
        print('(--traceback shows where it happened)', file=sys.stderr)
    return status


def _wrong_name(error: Exception) -> str:
    """Advice where a config names an argument or a class that does not exist; else empty."""
    message = _plain(error)
    if isinstance(error, KeyError):
        return message if ' registry' in message else ''
    unknown = re.search(r"(\w*)\.?__init__\(\) got an unexpected keyword argument '(\w+)'", message)
    if unknown is None:
        return message if '__init__() missing' in message else ''
    owner, name = unknown.groups()
    cls = _class_being_built(error)
    # What fails may be built by the class, as the DataLoader is by a loop.
    if cls is None or (owner and owner not in [base.__name__ for base in cls.__mro__]):
        return message
    known = constructor_arguments(cls)
    nearest = difflib.get_close_matches(name, known, n=1)
    advice = f'did you mean {nearest[0]!r}?' if nearest else f'it takes {", ".join(known)}.'
    return f'{cls.__name__} takes no argument {name!r}: {advice}'


def _class_being_built(error: Exception) -> type | None:
    """The class at which mmengine's registry failed, from the innermost of its frames."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == 'build_from_cfg' and inspect.isclass(
            trace.tb_frame.f_locals.get('obj_cls')
        ):
            found = trace.tb_frame.f_locals['obj_cls']
        trace = trace.tb_next
    return found


def _plain(error: Exception) -> str:
    """The message of an error, without the trace that a data loader's worker wraps it in."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    message = str(error)
    if not message.startswith('Caught '):
        return message
    lines = message.strip().splitlines()
    start = max((i for i, line in enumerate(lines) if line and not line[0].isspace()), default=0)
    return '\n'.join(lines[start:]).partition(': ')[2] or message
