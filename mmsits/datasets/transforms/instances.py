"""Panoptic targets of PASTIS."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import cut_cell
from mmsits.datasets.transforms.loading import open_array


@TRANSFORMS.register_module()
class LoadPASTISInstances(BaseTransform):
    """Read the panoptic target of a PASTIS patch, in the published seven channels.

    0 heatmap of parcel centres, 1 instance number, 2 zone (number of the instance whose centre is responsible for the
    pixel), then of the zone's instance: 3 height and 4 width in pixels (rows and columns that hold one of its pixels)
    and 5 class code; 6 class code of the pixel. Codes are the published ones, 0..19.

    Required keys: instance_paths, label_path, sample_id. Optional keys: cell. Added keys: instances ((7,H,W) float32).

    Raises:
        DataError: if a file is missing or damaged.
    """

    def transform(self, results: dict) -> dict:
        """Read and measure the instances."""
        sample_id = results['sample_id']
        maps = {name: open_array(path, sample_id, mmap=False) for name, path in results['instance_paths'].items()}
        classes = open_array(results['label_path'], sample_id, mmap=False)[0]
        objects = _measure_zones(maps['instances'], maps['zones'], classes)
        channels = [maps['heatmap'], maps['instances'], maps['zones'], *objects, classes]
        instances = np.stack([np.asarray(channel, np.float32) for channel in channels])
        results['instances'] = cut_cell(instances, results, results['label_path'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _measure_zones(instances: np.ndarray, zones: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Height, width and class of each zone's instance, (3,H,W); 0 where no instance is responsible."""
    measured = np.zeros((3, *instances.shape), np.float32)
    for number in np.unique(instances[instances != 0]):
        pixels = instances == number
        measured[0, zones == number] = pixels.any(axis=1).sum()
        measured[1, zones == number] = pixels.any(axis=0).sum()
        measured[2, zones == number] = classes[pixels][0]
    return measured
