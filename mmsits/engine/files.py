"""Files that are either there in full or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from mmengine.fileio import io as fileio
from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend

from mmsits.engine.errors import DiskWriteError

_MARK = '.mmsits-'
_SUFFIX = '.tmp'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that its name always stands for a complete content, the old or the new.

    The bytes go to a hidden file in the same folder, are flushed to the disk and take the name in one step.

    Args:
        path: Its folder is made if absent.
        content: All of the file.

    Raises:
        DiskWriteError: If the disk is full or refuses; a file that stood at `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}{_MARK}{os.getpid()}{_SUFFIX}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        reason = 'the disk is full' if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
        raise DiskWriteError(
            error.errno or errno.EIO,
            f'could not write {len(content)} bytes: {reason}. Earlier files are intact',
            str(path),
        ) from error


def _flush_folder(folder: Path) -> None:
    # Makes the new name itself survive a power cut; not every file system can do it.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Delete what writers that were killed have left half-written in a folder.

    Args:
        folder: Only files made by `write_atomically`, of processes that no longer run on this machine, are deleted.

    Returns:
        The files that were deleted.
    """
    removed = []
    for path in Path(folder).glob(f'.*{_MARK}*{_SUFFIX}'):
        process = path.name.rpartition(_MARK)[2].removesuffix(_SUFFIX)
        if process.isdigit() and not _runs(int(process)):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class AtomicLocalBackend(LocalBackend):
    """mmengine's local storage, with files written whole or not at all.

    mmengine writes checkpoints in place: a run killed meanwhile leaves a truncated file under the final name, and a
    full disk destroys the file that was there. Importing mmsits puts this backend in the place of the local one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; see `write_atomically`."""
        write_atomically(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; see `write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))


def register_atomic_backend() -> None:
    """Make `AtomicLocalBackend` the backend of local paths in mmengine."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')
    # Backends that were made before would be handed out again.
    fileio.backend_instances.clear()
