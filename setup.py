"""Packs `configs/`, `tools/` and `model-index.yml` into the package, as `mmsits/.mim`; the rest is in pyproject.toml.

OpenMMLab's programs look for a package's configs in its `.mim` folder (`mmsits::utae/….py` in a config's `_base_`).
A wheel gets copies; an editable install gets links, so that a config edited in the checkout is the one that is used.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools', 'model-index.yml')
_NO_CACHES = shutil.ignore_patterns('__pycache__', '*.pyc', '.*')


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder without caches and hidden files."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NO_CACHES)
    else:
        shutil.copy2(source, target)


def link(source: Path, target: Path) -> None:
    """Link relatively, so that the checkout can be moved; copy where links are not allowed (Windows)."""
    try:
        target.symlink_to(os.path.relpath(source, target.parent), target_is_directory=source.is_dir())
    except OSError:
        copy(source, target)


class BuildWithConfigs(build_py):
    """`build_py` that also fills `mmsits/.mim`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            folder, place = ROOT / 'mmsits' / '.mim', link
        else:
            folder, place = Path(self.build_lib).resolve() / 'mmsits' / '.mim', copy
        for name in SHIPPED:
            if not (ROOT / name).exists():
                raise FileNotFoundError(f'{name} is missing: build mmsits from a complete checkout or source archive')
        # A file that has gone from configs/ must not live on from an earlier build.
        remove(folder)
        folder.mkdir(parents=True)
        for name in SHIPPED:
            place(ROOT / name, folder / name)


setup(cmdclass={'build_py': BuildWithConfigs})
