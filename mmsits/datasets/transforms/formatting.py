"""The end of every pipeline: tensors, contiguous and of types that torch can batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.errors import DataError
from mmsits.structures import ImageSeries, SampleMeta

if TYPE_CHECKING:
    from mmsits.datasets.collate import CollatedBatch
    from mmsits.datasets.parcel_batch import ParcelBatch

META_KEYS = ('sample_id', 'season_start', 'paths', 'img_shape', 'window', 'statistics', 'crop')


@TRANSFORMS.register_module()
class PackSeriesInputs(BaseTransform):
    """Turn a sample into tensors that own their memory; here at the latest a memory-mapped file is read.

    Values keep the file's integers until they reach the device (uint16 becomes int32, float64 and float16 float32).

    Required keys: inputs, sample_id, season_start. Optional keys: targets, and those of ``meta_keys``.
    Returns a new dict: inputs (sensor to ImageSeries of tensors: values (T,C,H,W), days (T,) int32, valid (T,H,W) or
    (T,1,1)), targets ((1,H,W) uint8, absent without labels), metas (a SampleMeta).

    Args:
        meta_keys: what goes into ``metas`` where the sample has it.

    Raises:
        DataError: if a valid value is NaN or infinite: names file, date, band and number.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack the sample."""
        known = {key: results[key] for key in self.meta_keys if key in results}
        packed: dict = dict(inputs={}, metas=SampleMeta(**known))
        for sensor, series in results['inputs'].items():
            values = _own(series.values)
            if values.dtype.kind == 'f':
                check_finite(values, results, sensor)
            packed['inputs'][sensor] = ImageSeries(
                torch.from_numpy(values),
                torch.from_numpy(np.array(series.days, np.int32)),
                torch.from_numpy(np.array(series.valid, bool)),
            )
        if 'targets' in results:
            packed['targets'] = torch.from_numpy(np.array(results['targets'])[None])
        return packed

    def transform_batch(self, batch: ParcelBatch) -> CollatedBatch:
        """Read and collate a batch of parcels; their values keep the type of the store."""
        return batch.collate(self.meta_keys)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _own(values: np.ndarray) -> np.ndarray:
    """A contiguous copy in memory, of a type that torch computes with."""
    dtype: np.dtype | type = values.dtype
    if values.dtype == np.uint16:
        dtype = np.int32
    elif values.dtype.kind == 'f':
        dtype = np.float32
    # order='C' so that a flipped or turned view is laid out anew; a memory map would stay bound to its file.
    return np.array(values, dtype=np.dtype(dtype).newbyteorder('='), order='C', subok=False)


def check_finite(values: np.ndarray, results: dict, sensor: str) -> None:
    """Refuse NaN and infinity among the valid values of one sensor.

    Args:
        values: (T,C,H,W) floats.
        results: the sample, for the validity, and for file, date and band in the error.
        sensor: name of the sensor.

    Raises:
        DataError: names the first date and band concerned, and how many values are not finite.
    """
    # One pass without a temporary of the array's size; a sum is finite only if all terms are (float64: no overflow).
    if np.isfinite(values.sum(dtype=np.float64)):
        return
    bad = ~np.isfinite(values) & results['inputs'][sensor].valid[:, None]
    if not bad.any():
        return
    date, band = np.argwhere(bad.any(axis=(2, 3)))[0]
    position = int(results.get('date_index', {}).get(sensor, np.arange(len(values)))[date])
    days = results.get('series', {}).get(sensor, {}).get('days')
    raise DataError(
        f'{bad[date, band].sum()} of {bad[date, band].size} values are NaN or infinite; '
        f'{bad.any(axis=(1, 2, 3)).sum()} dates of the series are concerned',
        path=results.get('paths', {}).get(sensor),
        sample_id=results.get('sample_id'),
        day=results['inputs'][sensor].days[date] if days is None else days[position],
        date_index=position,
        band=results['sensors_info'][sensor]['bands'][band],
        hint="Write the file again, or treat such pixels as not observed: LoadSeries(nonfinite='invalid').",
    )
