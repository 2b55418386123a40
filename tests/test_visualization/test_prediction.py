import io

import numpy as np
import pytest

from mmsits.structures import ImageSeries
from mmsits.visualization.prediction import colour_composite, draw_prediction


def _series() -> ImageSeries:
    values = np.zeros((3, 4, 8, 8), np.int16)
    values[1, 2] = np.arange(64).reshape(8, 8)
    valid = np.zeros((3, 8, 8), bool)
    valid[0, :2] = True
    valid[1, :6] = True
    return ImageSeries(values, np.array([10, 20, 30]), valid)


def test_composite_shows_the_clearest_date_in_the_named_bands() -> None:
    image, date = colour_composite(_series(), ('B02', 'B03', 'B04', 'B08'))
    assert date == 1
    # B04 is the red band; green and blue are flat.
    assert image[..., 0].max() == 255
    assert image[..., 1:].max() == 0
    assert not image[6:].any()


def test_composite_of_a_sensor_without_these_bands_is_grey() -> None:
    series = _series()
    image, _ = colour_composite(ImageSeries(series.values[:, 2:], *series[1:]), ('VV', 'VH'))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    assert image.max() == 255


def test_series_without_observation_is_black() -> None:
    series = _series()
    image, _ = colour_composite(series._replace(valid=np.zeros_like(series.valid)), ('B02', 'B03', 'B04', 'B08'))
    assert not image.any()


def test_classes_have_their_colours_in_the_picture() -> None:
    from matplotlib.image import imread

    labels = np.repeat([[0, 1]], 8, 0).repeat(4, 1)
    picture = draw_prediction(
        np.zeros((8, 8, 3), np.uint8), labels, ('wheat', 'maize'), [(200, 10, 10), (10, 10, 200)], reference=labels
    )
    pixels = (imread(io.BytesIO(picture))[..., :3] * 255).round().astype(int).reshape(-1, 3)
    for colour in [(200, 10, 10), (10, 10, 200)]:
        assert (pixels == colour).all(1).sum() > 2000


def test_maps_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match='differ in size'):
        draw_prediction(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4), int), ('a',), [(0, 0, 0)])
