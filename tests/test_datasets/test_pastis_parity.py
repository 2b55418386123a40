"""Dataset, transforms and preprocessor give the items of the published PASTIS loader."""

from pathlib import Path

import numpy as np

from mmsits.parity.pastis import check_pastis_item

GOLDEN = Path(__file__).parents[1] / 'data' / 'parity' / 'pastis_item.npz'


def test_items_and_batch_equal_the_published_loader() -> None:
    comparisons = check_pastis_item(GOLDEN)

    assert len(comparisons) == 28
    for name, ours, golden in comparisons:
        assert ours.shape == golden.shape, name
        if golden.dtype.kind == 'f':
            np.testing.assert_allclose(ours, golden, atol=1e-5, rtol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(ours, golden, err_msg=name)
