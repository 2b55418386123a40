import io

import numpy as np
import pytest

from mmsits.visualization.prediction import draw_prediction

META = dict(classes=('wheat', 'maize'), palette=[(200, 10, 10), (10, 10, 200)])


def test_classes_have_their_colours_in_the_picture() -> None:
    from matplotlib.image import imread

    labels = np.repeat([[0, 1]], 8, 0).repeat(4, 1)
    picture = draw_prediction(np.zeros((8, 8, 3), np.uint8), labels, META, reference=labels)
    pixels = (imread(io.BytesIO(picture))[..., :3] * 255).round().astype(int).reshape(-1, 3)
    for colour in [(200, 10, 10), (10, 10, 200)]:
        assert (pixels == colour).all(1).sum() > 2000


def test_maps_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match='differ in size'):
        draw_prediction(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4), int), META)
