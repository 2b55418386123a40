"""Scenes out of a SpatioTemporal Asset Catalog (STAC), an API or a static catalogue of files."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from ..errors import DataError

_INSTALL = "Install it: pip install 'mmsits[download]'."


class Scene(NamedTuple):
    """One image of a catalogue.

    Attributes:
        name: of the item.
        date: UTC.
        footprint: shapely geometry, degrees.
        assets: name -> address of the file.
        properties: of the item.
        scalings: name of an asset -> (scale, offset) of its first band, where the catalogue tells both: value =
            scale × stored number + offset.
    """

    name: str
    date: datetime.date
    footprint: Any
    assets: Mapping[str, str]
    properties: Mapping[str, Any]
    scalings: Mapping[str, tuple[float, float]] = {}


class Catalogue:
    """Searches scenes by collection, place and date.

    Args:
        location: address of a STAC API, or address or path of a static catalogue (catalog.json).
        sign: 'module:function' that turns an item into one whose addresses may be read, such as
            'planetary_computer:sign'; None for open data.

    Raises:
        DataError: if pystac or pystac-client is not installed, the catalogue cannot be opened, or `sign` not found.
    """

    def __init__(self, location: str, sign: str | None = None) -> None:
        self.location = str(location)
        self._sign = None if sign is None else _find_function(sign)
        self._api: Any = None
        self._items: list[Any] = []
        self._collections: set[str] = set()
        if self.location.startswith(('http://', 'https://')) and not self.location.endswith('.json'):
            self._api = self._open_api()
        else:
            self._items = self._read_static()

    def _open_api(self) -> Any:
        client = _module('pystac_client', self.location)
        try:
            return client.Client.open(self.location)
        # Network, JSON and STAC have errors of their own.
        except Exception as error:
            raise DataError(
                f'the catalogue cannot be opened ({type(error).__name__}: {error})',
                path=self.location,
                hint='Check the address and the network.',
            ) from error

    def _read_static(self) -> list[Any]:
        pystac = _module('pystac', self.location)
        try:
            return list(pystac.Catalog.from_file(self.location).get_items(recursive=True))
        except Exception as error:
            raise DataError(
                f'the catalogue cannot be read ({type(error).__name__}: {error})',
                path=self.location,
                hint='Give the catalog.json of a static catalogue, or the address of an API.',
            ) from error

    def search(self, collection: str, place: Any, start: datetime.date, end: datetime.date) -> list[Scene]:
        """Scenes of a collection that touch a place.

        Args:
            collection: its id.
            place: shapely geometry, degrees.
            start: first day.
            end: day behind the last.

        Returns:
            The scenes in the order of date and name.
        """
        found = self._ask(collection, place, start, end) if self._api is not None else self._filter(collection)
        kept = [item for item in found if start <= _date(item) < end and _footprint(item).intersects(place)]
        return sorted(map(self._scene, kept), key=lambda scene: (scene.date, scene.name))

    def _filter(self, collection: str) -> Iterable[Any]:
        known = {item.collection_id for item in self._items}
        if collection not in known:
            raise self._no_collection(collection, f', but {sorted(map(str, known))}')
        return (item for item in self._items if item.collection_id == collection)

    def _ask(self, collection: str, place: Any, start: datetime.date, end: datetime.date) -> Iterable[Any]:
        from shapely.geometry import mapping

        self._refuse_unknown(collection)
        last = end - datetime.timedelta(days=1)
        search = self._api.search(
            collections=[collection], intersects=mapping(place), datetime=f'{start.isoformat()}/{last.isoformat()}'
        )
        # All pages: pystac-client follows their links.
        return search.items()

    def _refuse_unknown(self, collection: str) -> None:
        """APIs find nothing in a collection that they do not have, as if no image had been taken."""
        if collection in self._collections:
            return
        errors = _module('pystac_client.exceptions', self.location)
        try:
            found = self._api.get_collection(collection)
        # Of older releases; newer ones return None.
        except errors.APIError as error:
            if error.status_code != 404:
                raise
            found = None
        if found is None or found.id != collection:
            raise self._no_collection(collection)
        self._collections.add(collection)

    def _no_collection(self, collection: str, others: str = '') -> DataError:
        return DataError(
            f'the catalogue has no collection {collection!r}{others}',
            path=self.location,
            hint='Name another one: --s1-collection, --s2-collection, or get one sensor alone: --sensors.',
        )

    def _scene(self, item: Any) -> Scene:
        item = item if self._sign is None else self._sign(item)
        assets = {name: asset.get_absolute_href() or asset.href for name, asset in item.assets.items()}
        told = {name: _scaling(asset.extra_fields) for name, asset in item.assets.items()}
        scalings = {name: scaling for name, scaling in told.items() if scaling is not None}
        return Scene(item.id, _date(item), _footprint(item), assets, item.properties, scalings)


def _date(item: Any) -> datetime.date:
    return (item.datetime or item.common_metadata.start_datetime).date()


def _footprint(item: Any) -> Any:
    from shapely.geometry import shape

    return shape(item.geometry)


def _scaling(fields: Mapping[str, Any]) -> tuple[float, float] | None:
    """Scale and offset of an asset's first band, as STAC's raster extension writes them in versions 1 and 2.

    1 and 0 are what tools such as rio-stac write of files that name none, so they tell nothing of numbers that are not
    stored as fractions.
    """
    older = (fields.get('raster:bands') or [{}])[0]
    newer = (fields.get('bands') or [{}])[0]
    found = [older.get('scale'), older.get('offset')]
    for index, name in enumerate(('raster:scale', 'raster:offset')):
        found[index] = fields.get(name, newer.get(name, found[index]))
    scale, offset = found
    # One without the other leaves open whether the other is none or was not thought of.
    if scale is None or offset is None:
        return None
    held = str(fields.get('data_type', newer.get('data_type', older.get('data_type', ''))))
    if (scale, offset) == (1, 0) and not held.startswith('float'):
        return None
    return float(scale), float(offset)


def _module(name: str, wanted_for: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(f'{name} is needed and is not installed', path=wanted_for, hint=_INSTALL) from error


def _find_function(text: str) -> Callable[[Any], Any]:
    module, _, name = text.partition(':')
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(
            f'no function {text!r} to sign with ({error})', hint="Give 'module:function' and install the module."
        ) from error
