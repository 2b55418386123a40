"""The picture of early-season scores shows what it is given, and nothing cannot be shown."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmsits.visualization.early_season import draw_early_season


def test_lines_of_every_way_are_drawn() -> None:
    rows = {end: dict(OA=end / 400, macro_F1=end / 500, ECE=0.1) for end in range(20, 380, 15)}
    dates = {end: f'day {end}' for end in rows}
    one = np.asarray(Image.open(BytesIO(draw_early_season({'tested': rows}, dates))))
    two = np.asarray(Image.open(BytesIO(draw_early_season({'tested': rows, 'fine-tuned': rows}, dates))))
    red = np.array([0xD1, 0x49, 0x5B])
    assert not (one[..., :3] == red).all(-1).any()
    assert (two[..., :3] == red).all(-1).sum() > 500
    with pytest.raises(ValueError, match='no scores'):
        draw_early_season({'tested': {}}, {})
