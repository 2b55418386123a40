"""Reading checkpoints: never running code from them, saying in a sentence what is wrong with one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, get_rank
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmsits.engine.errors import CheckpointError

_trusted = False


def trust_checkpoints(trusted: bool = True) -> None:
    """Allow checkpoints that hold arbitrary Python objects, for the rest of this process.

    Reading such a file runs whatever code its author put in. Call it only for files whose origin you trust;
    `tools/train.py` and `tools/test.py` have the flag `--trust-checkpoint` for it.

    Args:
        trusted: False goes back to refusing them.
    """
    global _trusted
    _trusted = trusted


def _safe_objects() -> list[Any]:
    """Harmless classes that mmengine's checkpoints hold beside tensors: log buffers, numpy arrays and numbers."""
    core = np._core.multiarray  # type: ignore[attr-defined]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefdU'}
    log_method = (_log_method, 'builtins.getattr')
    # Their names in files that numpy below 2 wrote.
    older = [(getattr(core, name), f'numpy.core.multiarray.{name}') for name in ('_reconstruct', 'scalar')]
    return [HistoryBuffer, core._reconstruct, core.scalar, *older, np.ndarray, np.dtype, log_method, *dtypes]


def _log_method(owner: Any, name: str) -> Any:
    """Stands in for `getattr`, by which log buffers name their own statistics; anything else is refused."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(owner, name)
    raise UnpicklingError(f'Unsupported GLOBAL getattr({owner!r:.80}, {name!r:.80})')


def load_strictly(file: Any, map_location: Any = None, name: str | None = None) -> Any:
    """Read a checkpoint as data: tensors, plain Python values, numpy arrays.

    Args:
        file: Path or open binary file.
        map_location: As in `torch.load`.
        name: What to call the file in errors; default its path.

    Returns:
        What was saved.

    Raises:
        FileNotFoundError: If the path does not exist.
        CheckpointError: If the file is truncated or no checkpoint, or holds objects that could run code and
            `trust_checkpoints` was not called.
    """
    name = name or str(file)
    if isinstance(file, str | Path):
        file = os.path.expanduser(file)
        if not os.path.isfile(file):
            raise FileNotFoundError(f'there is no checkpoint {name}')
    try:
        if _trusted:
            return torch.load(file, map_location=map_location, weights_only=False)
        with torch.serialization.safe_globals(_safe_objects()):
            return torch.load(file, map_location=map_location, weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(_refusal(name, str(error))) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f'{name} cannot be read, it is truncated or not a checkpoint ({_first_line(error)}). '
            'Use an earlier checkpoint or fetch the file again.'
        ) from error


def read_published_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint that published code wrote, for a converter.

    Args:
        path: Of a state dict, or of a dict that holds one as 'state_dict', 'model_state' or 'model_state_dict'.

    Returns:
        Names and tensors.

    Raises:
        CheckpointError: Names the file, if it cannot be read without running code or holds something else.
    """
    checkpoint = load_strictly(str(path), 'cpu')
    state = None
    if isinstance(checkpoint, dict):
        names = ('state_dict', 'model_state', 'model_state_dict')
        state = next((checkpoint[name] for name in names if name in checkpoint), checkpoint)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: expected a dict with 'state_dict', as the published code writes it.")
    return state


def _refusal(name: str, message: str) -> str:
    found = re.search(r'GLOBAL (\S+)|global (\S+) was not', message)
    if found is None and 'Unsupported' not in message:
        return f'{name} is no checkpoint that torch can read. Was it saved by torch.save, and copied in full?'
    what = next((group for group in found.groups() if group), '') if found else ''
    return (
        f'{name} holds Python objects{f" ({what})" if what else ""} that could run code when read, so it was not '
        'opened. If you trust where it comes from, add --trust-checkpoint (in Python: '
        'mmsits.engine.trust_checkpoints()).'
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Loader of paths for mmengine's `CheckpointLoader`; see `load_strictly`."""
    return _without_config(load_strictly(filename, map_location))


def _without_config(content: Any) -> Any:
    """A checkpoint without `meta.config`: mmengine's Runner, when it resumes, runs that text as Python."""
    if not _trusted and isinstance(content, dict) and isinstance(content.get('meta'), dict):
        content['meta'].pop('config', None)
    return content


def load_from_http(filename: str, map_location: Any = None, model_dir: str | None = None) -> Any:
    """Loader of `http(s)://` addresses: the first process of a run downloads, then all read; see `load_strictly`.

    Args:
        filename: The address. A name that ends in `-<hash>.pth` is checked against its SHA-256.
        map_location: As in `torch.load`.
        model_dir: Where to keep the file; default torch's cache.
    """
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    path = folder / filename.split('?')[0].rsplit('/', 1)[-1]
    if get_rank() == 0:
        _download(filename, path)
    barrier()
    # The other machines of a run have disks of their own; a download takes its name in one step.
    _download(filename, path)
    return _without_config(load_strictly(path, map_location))


def _download(address: str, path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    found = re.search(r'-([0-9a-f]{8,})\.', path.name)
    torch.hub.download_url_to_file(address, str(path), hash_prefix=found[1] if found else None)


def register_strict_loaders() -> None:
    """Make mmengine read every checkpoint strictly.

    mmengine tries `weights_only=True` and, where that refuses, loads the file with pickle after all, with a warning.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), loader=load_from_http, force=True)
    # The other schemes (model zoos, object stores) end in these two functions.
    mmengine_checkpoint.load_from_http = load_from_http
    mmengine_checkpoint._safe_torch_load = lambda file, map_location=None, weights_only=None: load_strictly(
        file, map_location, name=None if isinstance(file, str) else 'the checkpoint'
    )


def find_resumable(work_dir: str | Path) -> Path | None:
    """The newest checkpoint of a run that can be read in full.

    Starts with the one that `last_checkpoint` names, then goes back through the numbered ones. A file that cannot be
    read is skipped with a warning that names it.

    Args:
        work_dir: Folder of the run.

    Returns:
        Path of the checkpoint, None if there is none.
    """
    for path in _candidates(Path(work_dir)):
        try:
            checkpoint = load_strictly(path, map_location='cpu')
        except CheckpointError as error:
            print_log(f'Skipped when looking for a checkpoint to resume from: {error}', 'current', 30)
            continue
        if isinstance(checkpoint, dict) and 'optimizer' in checkpoint and 'meta' in checkpoint:
            return path
    return None


def _candidates(work_dir: Path) -> Iterator[Path]:
    numbered = {
        int(found[1]): path
        for path in work_dir.glob('*_*.pth')
        if (found := re.fullmatch(r'iter_(\d+)\.pth', path.name))
    }
    named = work_dir / 'last_checkpoint'
    last = None
    if named.is_file():
        last = work_dir / named.read_text().strip()
        # A run that was moved with an absolute path in this file.
        last = last if last.is_file() else work_dir / last.name
        if last.is_file():
            yield last
    yield from (path for _, path in sorted(numbered.items(), reverse=True) if path != last)


@contextmanager
def trusting(trusted: bool) -> Iterator[None]:
    """Trust checkpoints, or not, within a block."""
    before = _trusted
    trust_checkpoints(trusted)
    try:
        yield
    finally:
        trust_checkpoints(before)
