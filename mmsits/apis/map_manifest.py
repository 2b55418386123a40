"""What a map is made from and how far it is: so that a run that was killed goes on, and no other run mixes with it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmsits.engine.errors import ConfigError, DiskWriteError
from mmsits.engine.files import remove_leftovers, write_atomically

TILES = '.mmsits-tiles'
"""Name of the folder of tiles within that of the map: nobody else's."""


class MapManifest:
    """The folder of a map: its description, the tiles that are finished, the files that are.

    `manifest.json` says what the map is made from, and is written before the first tile and after the last file. A tile
    is a file in the hidden folder `TILES` that is there in full or not at all. When the map is complete the tiles go.

    What a manifest does not list is not the map's: it is never removed, and only overwritten if that is asked for.

    Args:
        folder: made if needed.
        description: what determines the content of the map, by name; plain values.
        overwrite: begin anew where the folder holds a map of other things, whose files are removed; or other files
            under the names of this map's, or a damaged manifest.
        outputs: names of all files that may be written for the map.

    Raises:
        ConfigError: if the folder holds a map, finished or not, that was made from something else (says from what), or
            files that no manifest tells of.
        DiskWriteError: if nothing can be written there.
    """

    def __init__(
        self,
        folder: str | Path,
        description: Mapping[str, Any],
        overwrite: bool = False,
        outputs: Iterable[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self.description = json.loads(json.dumps(description, default=str))
        self._outputs = list(outputs)
        self._tiles = self.folder / TILES
        self._file = self.folder / 'manifest.json'
        check_writable(self.folder)
        earlier = self._earlier(overwrite)
        if earlier is None:
            self._begin_among_others(overwrite)
        elif earlier['made_from'] != self.description:
            self._replace(earlier, overwrite)
            earlier = None
        else:
            remove_leftovers(self._tiles)
        self.files: dict[str, str] = dict((earlier or {}).get('files') or {})
        self.tile_digests: list[str] = list((earlier or {}).get('tiles') or [])
        if earlier is None:
            self._write()
        elif self.complete:
            # A run that was killed after its last note left them.
            shutil.rmtree(self._tiles, ignore_errors=True)

    def _earlier(self, overwrite: bool) -> dict[str, Any] | None:
        """The manifest that is there; None if there is none, or a damaged one is to be replaced."""
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f'{self._file} cannot be read ({error.strerror}): give another folder') from error
        except ValueError as error:
            if overwrite:
                return None
            raise ConfigError(f'{self._file} cannot be read ({error}): give another folder, or --overwrite') from error
        if not isinstance(found, dict) or not isinstance(found.get('made_from'), dict):
            raise ConfigError(f'{self._file} is no manifest of a map: give another folder')
        return found

    def _begin_among_others(self, overwrite: bool) -> None:
        """Refuse files that no manifest tells of where they would be overwritten."""
        taken = [name for name in (*self._outputs, TILES) if os.path.lexists(self.folder / name)]
        if taken and not overwrite:
            raise ConfigError(
                f'{self.folder} holds {", ".join(taken)}, but no manifest.json that says of what map. Give another '
                'folder, or --overwrite to replace them.'
            )
        # Tiles of what nobody knows any more must not be taken for this map's.
        shutil.rmtree(self._tiles, ignore_errors=True)

    def _replace(self, earlier: Mapping[str, Any], overwrite: bool) -> None:
        """Remove the files of another map; its manifest goes last, so that a run killed meanwhile finds the rest."""
        if not overwrite:
            raise ConfigError(_refusal(self.folder, earlier['made_from'], self.description))
        for name in {*(earlier.get('outputs') or ()), *(earlier.get('files') or ())}:
            # Files of the folder itself, whatever a manifest that was edited says.
            if Path(name).name == name and (self.folder / name).is_file():
                (self.folder / name).unlink()
        shutil.rmtree(self._tiles, ignore_errors=True)
        self._file.unlink(missing_ok=True)

    @property
    def complete(self) -> bool:
        """Whether all files of the map are there."""
        # Not held against their digests: programs that show a map write statistics into it.
        return bool(self.files) and all((self.folder / name).is_file() for name in self.files)

    def has(self, tile: int) -> bool:
        """Whether a tile is finished."""
        return self._path(tile).is_file()

    def save(self, tile: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a finished tile."""
        buffer = io.BytesIO()
        np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
        write_atomically(self._path(tile), buffer.getvalue())

    def load(self, tile: int, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Read a finished tile.

        Args:
            tile: its number.
            names: of the arrays wanted; None for all.

        Raises:
            ConfigError: if its file was damaged since.
        """
        path = self._path(tile)
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in (file.files if names is None else names)}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(f'{path} is damaged ({error}): remove this file and run again') from error

    def finish(self, files: Iterable[str], tiles: int) -> None:
        """Note that the map is complete, and remove the tiles; digests of files and tiles stay.

        Args:
            files: names of the map's files in the folder.
            tiles: how many there are.
        """
        self.files = {name: digest_of(self.folder / name) for name in files}
        self.tile_digests = [digest_of_arrays(self.load(tile)) for tile in range(tiles)]
        self._write()
        shutil.rmtree(self._tiles, ignore_errors=True)

    def _path(self, tile: int) -> Path:
        return self._tiles / f'{tile:08d}.npz'

    def _write(self) -> None:
        content = dict(made_from=self.description, outputs=self._outputs, files=self.files, tiles=self.tile_digests)
        write_atomically(self._file, (json.dumps(content, indent=1, ensure_ascii=False) + '\n').encode())


def check_writable(folder: Path) -> None:
    """Make a folder and see that files can be written in it.

    Raises:
        DiskWriteError: if not; before hours of computing rather than after.
    """
    if folder.exists() and not folder.is_dir():
        raise DiskWriteError(errno.ENOTDIR, 'this is a file: give another folder', str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f'.probe-{os.getpid()}'
        probe.write_bytes(b'')
        probe.unlink()
    except OSError as error:
        raise DiskWriteError(
            error.errno or 5, f'nothing can be written there ({error.strerror}): give another folder', str(folder)
        ) from error


def digest_of(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def digest_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of arrays with their names, types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f'{name} {array.dtype} {array.shape} '.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _refusal(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in (*now, *(n for n in before if n not in now)) if before.get(name) != now.get(name)]
    differences = '; '.join(_difference(name, before.get(name), now.get(name)) for name in names[:4])
    return (
        f'{folder} holds a map, or part of one, that was made from something else ({differences}). Give another '
        'folder, or --overwrite to replace it.'
    )


def _difference(name: str, before: Any, now: Any) -> str:
    texts = [json.dumps(value, ensure_ascii=False) for value in (before, now)]
    if max(len(text) for text in texts) > 80:
        return f'another {name}'
    return f'{name} {texts[0]}, now {texts[1]}'
