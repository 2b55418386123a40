"""Seasonal index curves per class."""

import numpy as np
import torch

from mmsits.structures import ImageSeries, SampleMeta
from mmsits.visualization.index_curves import draw_index_curves, index_curves


class Fields:
    """Two samples of 6×6 pixels: class 0 with NDVI 0.5 and class 1 with NDVI 0.2 rising to 0.8; a row of cloud."""

    metainfo = dict(bands=dict(s2=('B02', 'B04', 'B08')))

    def __len__(self):
        return 2

    def __getitem__(self, i):
        targets = torch.zeros(1, 6, 6, dtype=torch.uint8)
        targets[0, :, 3:] = 1
        targets[0, 0, 0] = 255
        ndvi = torch.full((3, 6, 6), 0.5)
        ndvi[:, :, 3:] = torch.tensor([0.2, 0.5, 0.8])[:, None, None]
        values = torch.stack([torch.full_like(ndvi, 500), 2000 * (1 - ndvi), 2000 * (1 + ndvi)], dim=1)
        values[1, :, 5] = 9000
        days = torch.tensor([10, 40, 70], dtype=torch.int32) + 17000
        valid = torch.ones(3, 1, 1, dtype=torch.bool)
        series = ImageSeries(values.to(torch.int16), days, valid)
        return dict(inputs={'s2': series}, targets=targets, metas=SampleMeta(season_start=17000))


def test_quantiles_follow_the_classes_and_leave_clouds_out():
    curves = index_curves(Fields())
    np.testing.assert_array_equal(curves[1].days, [10, 40, 70])
    np.testing.assert_allclose(curves[1].quantiles, np.array([[0.2], [0.5], [0.8]]).repeat(5, axis=1), atol=1e-3)
    np.testing.assert_allclose(curves[0].quantiles, 0.5, atol=1e-3)
    clouded = index_curves(Fields(), clear_below=None)
    assert clouded[1].quantiles[1, 0] < 0.5


def test_rare_classes_are_left_out_and_the_rest_drawn(tmp_path):
    assert not len(index_curves(Fields(), min_pixels=1000)[0].days)
    draw_index_curves(
        index_curves(Fields()), ('meadow', 'wheat'), [[0, 255, 0], [255, 0, 0]], 17000, tmp_path / 'a.png'
    )
    assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')
