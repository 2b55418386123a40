"""Batches that a dataset collates by itself."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS


class CollatedBatch(dict):
    """A batch as a dataset's `__getitems__` returns it, ready for the data preprocessor.

    A dict; only that taking it for a list of samples, as mmengine's default collation does, is an error that says what
    to set.
    """

    def __missing__(self, key: Any) -> Any:
        if isinstance(key, int):
            raise TypeError(
                'The dataset collates its batches itself: give the data loader '
                "collate_fn=dict(type='identity_collate')."
            )
        raise KeyError(key)


@FUNCTIONS.register_module(name='identity_collate')
def identity_collate(data: Any) -> Any:
    """Hand on a batch that the dataset has collated; single samples are collated as mmengine does.

    Args:
        data: A `CollatedBatch`, or a list of samples (from a dataset in a wrapper that asks for them one by one).

    Returns:
        A batch.
    """
    return data if isinstance(data, CollatedBatch) else pseudo_collate(data)
