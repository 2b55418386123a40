"""The head of U-TAE within mmseg's contract."""

import torch
from mmengine.registry import init_default_scope

from mmsits.models import UTAEHead

init_default_scope('mmseg')


def test_scores_are_rectified_as_published_or_not() -> None:
    torch.manual_seed(0)
    maps = (torch.randn(2, 8, 6, 6), torch.randn(2, 16, 3, 3))
    published, plain = UTAEHead(8, 4, num_classes=3), UTAEHead(8, 4, num_classes=3, rectify_scores=False)
    plain.load_state_dict(published.state_dict())
    assert published(maps).shape == (2, 3, 6, 6)
    torch.testing.assert_close(published(maps), plain(maps).relu())
    assert (plain(maps) < 0).any()


def test_allocates_the_two_convolutions_only() -> None:
    head = UTAEHead(8, 4, num_classes=3)
    assert {name.split('.')[0] for name, _ in head.named_parameters()} == {'out_conv'}
    head.init_weights()
