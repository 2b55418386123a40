import errno
import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner import save_checkpoint

from mmsits.engine import AtomicLocalBackend, DiskWriteError, write_atomically
from mmsits.engine import files as files_module
from mmsits.engine.files import remove_leftovers


class _FullDisk:
    """A file that takes ten bytes and then has no room."""

    @classmethod
    def open(cls, path: Path, mode: str) -> '_FullDisk':
        return cls(path.open(mode))

    def __init__(self, file: object) -> None:
        self._file = file

    def __enter__(self) -> '_FullDisk':
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        self._file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, 'open', _FullDisk.open, raising=False)


def test_mmengine_writes_through_the_atomic_backend(tmp_path: Path) -> None:
    assert isinstance(get_file_backend(str(tmp_path)), AtomicLocalBackend)
    get_file_backend(str(tmp_path)).put_text('Zürich', tmp_path / 'a' / 'b.txt')
    assert (tmp_path / 'a' / 'b.txt').read_text(encoding='utf-8') == 'Zürich'
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['b.txt']


@pytest.mark.usefixtures('full_disk')
def test_full_disk_leaves_the_old_checkpoint_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'iter_1.pth'
    torch.save({'weight': torch.ones(3)}, path)
    before = path.read_bytes()
    with pytest.raises(DiskWriteError, match=r'the disk is full.*iter_1\.pth') as caught:
        save_checkpoint({'weight': torch.zeros(3)}, str(path))
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ['iter_1.pth']


def test_failed_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'last_checkpoint'
    path.write_text('old')

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, 'broken disk')

    monkeypatch.setattr(os, 'replace', refuse)
    with pytest.raises(DiskWriteError, match='broken disk'):
        write_atomically(path, b'new')
    assert path.read_text() == 'old'
    assert len(list(tmp_path.iterdir())) == 1


def test_only_leftovers_of_dead_writers_are_removed(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead = tmp_path / f'.iter_8.pth.mmsits-{child}.tmp'
    living = tmp_path / f'.iter_8.pth.mmsits-{os.getppid()}.tmp'
    other = tmp_path / '.notes.tmp'
    for path in (dead, living, other):
        path.write_text('x')
    assert remove_leftovers(tmp_path) == [dead]
    assert living.exists()
    assert other.exists()
