"""What is known of a sample besides its pixels."""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from typing import Any


class SampleMeta:
    """Meta information of one sample: `sample_id`, `season_start`, `paths`, `img_shape` and whatever its dataset adds.

    Reads like a dict, but is none: mmengine's collation takes dicts apart key by key and wants the same keys in every
    sample, while this object passes through it as one thing.

    Args:
        **values: The information, plain Python values.
    """

    __slots__ = ('_values',)

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f'SampleMeta({self._values})'

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        return self._values.get(key, default)

    def keys(self) -> KeysView[str]:
        """The keys, so that `dict(meta)` works."""
        return self._values.keys()
