"""TSViT: what padding, order of dates, size and validity may and may not change."""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmsits.models import STViT, TSViT, TSViTHead
from mmsits.models.layers import DayOfYearEmbedding, TrainingDaysEmbedding, cut_day_of_year, day_of_year
from mmsits.structures import ImageSeries

init_default_scope('mmseg')

SMALL: dict[str, Any] = dict(
    in_channels=3, num_classes=4, image_size=8, dim=8, temporal_depth=2, spatial_depth=1, num_heads=2, head_channels=4
)
VARIANTS: dict[str, dict[str, Any]] = {
    'dense': {},
    'one_token': dict(class_tokens=False),
    'mean': dict(class_tokens=False, summary='mean'),
    'places': dict(date_encoding='place', num_dates=12),
    'training_days': dict(date_encoding='training_days', training_days=[0, 20, 90, 200, 330]),
    'across_classes': dict(spatial_attention='across_classes'),
    'time_alone': dict(spatial_attention=None),
    'whole_image': dict(whole_image=True),
    'space_first': dict(type='STViT', num_dates=12),
}


def build(variant: str = 'dense', **options: Any) -> TSViT | STViT:
    torch.manual_seed(0)
    config = dict(type='TSViT', **SMALL) | VARIANTS[variant] | options
    if config['type'] == 'STViT':
        del config['num_classes']
    return MODELS.build(config).eval()


def make_series(n: int = 2, t: int = 5, size: int = 8, seed: int = 0) -> ImageSeries:
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, 3, size, size)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(0, 360, (n, t)), axis=1).astype(np.int32))
    return ImageSeries(values, days, torch.ones(n, t, 1, 1, dtype=torch.bool))


def add_dates(series: ImageSeries, count: int, garbage: float = 0.0) -> ImageSeries:
    n, _, *rest = series.values.shape
    return ImageSeries(
        torch.cat([series.values, torch.full((n, count, *rest), garbage)], 1),
        torch.cat([series.days, torch.full((n, count), 7).int()], 1),
        torch.cat([series.valid, torch.zeros(n, count, *series.valid.shape[2:], dtype=torch.bool)], 1),
    )


@torch.no_grad()
def run(backbone: TSViT | STViT, series: ImageSeries) -> torch.Tensor:
    return backbone({'s2': series})[0]


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert torch.isfinite(ours).all()
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_has_the_published_number_of_parameters() -> None:
    modules = [TSViT(10, 19), TSViTHead(num_classes=19)]
    assert sum(parameter.numel() for module in modules for parameter in module.parameters()) == 1_657_476


@pytest.mark.parametrize('variant', sorted(VARIANTS))
@pytest.mark.parametrize('garbage', [0.0, float('nan')])
def test_invalid_dates_change_nothing(variant: str, garbage: float) -> None:
    backbone, series = build(variant), make_series()
    assert_same(run(backbone, add_dates(series, 4, garbage)), run(backbone, series))


@pytest.mark.parametrize('variant', ['dense', 'space_first'])
def test_published_behaviour_depends_on_padding(variant: str) -> None:
    backbone, series = build(variant, runs_over_padding=True), make_series()
    assert_same(run(backbone, series), run(build(variant), series))
    padded, plain = run(backbone, add_dates(series, 4)), run(backbone, series)
    assert (padded - plain).abs().max() > 1e-3 * plain.abs().max()


@pytest.mark.parametrize('variant', sorted(set(VARIANTS) - {'places', 'space_first'}))
def test_order_of_dates_does_not_matter(variant: str) -> None:
    backbone, series, order = build(variant), make_series(), torch.tensor([3, 0, 4, 1, 2])
    assert_same(run(backbone, ImageSeries(*(part[:, order] for part in series))), run(backbone, series))


@pytest.mark.parametrize('variant', sorted(VARIANTS))
def test_an_image_with_one_valid_date_or_none_is_finite(variant: str) -> None:
    backbone, series = build(variant).train(), make_series()
    series.valid[0, 1:] = False
    series.valid[1] = False
    maps = backbone({'s2': series})[0]
    maps.square().sum().backward()
    assert torch.isfinite(maps).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


def test_values_of_invalid_pixels_do_not_matter() -> None:
    backbone, series = build(), make_series()
    valid = torch.from_numpy(np.random.default_rng(2).random((2, 5, 8, 8)) < 0.3)
    results = [
        run(backbone, ImageSeries(torch.where(valid.unsqueeze(2), series.values, torch.tensor(x)), series.days, valid))
        for x in (float('nan'), 0.0)
    ]
    assert_same(*results)


def test_patches_that_were_never_observed_have_no_influence() -> None:
    backbone, series = build(), make_series()
    valid = torch.ones(2, 5, 8, 8, dtype=torch.bool)
    valid[..., 6:] = False
    seen = run(backbone, series._replace(valid=valid))
    other = series._replace(values=series.values + 100 * (~valid).unsqueeze(2), valid=valid)
    assert_same(run(backbone, other)[..., :3], seen[..., :3])


@pytest.mark.parametrize('variant', ['dense', 'space_first'])
def test_other_sizes_get_interpolated_places(variant: str) -> None:
    backbone = build(variant)
    assert run(backbone, make_series(size=12)).shape[-2:] == (6, 6)
    with pytest.raises(ValueError, match='multiples of 2'):
        run(backbone, make_series(size=7))


def test_the_last_layer_computes_no_more_than_is_kept() -> None:
    transformer = build().temporal_transformer
    x = torch.randn(3, 9, 8)
    attended = torch.rand(3, 9) < 0.7
    attended[:, 0] = True
    torch.testing.assert_close(transformer(x, attended, 4), transformer(x, attended)[:, :4])


def test_days_of_the_year() -> None:
    assert day_of_year(torch.tensor([0, 364, 365, 366, -1, -2])).tolist() == [1, 365, 366, 2, 365, 364]
    # 31 December and 1 January behind 1 September; day 0 would be padding.
    assert day_of_year(torch.tensor([0, 121, 122, -244]), first_day=244).tolist() == [244, 365, 1, 365]
    assert day_of_year(torch.tensor([0, 1, 366]), first_day=0).tolist() == [0, 1, 366]
    assert day_of_year(torch.tensor([123]), first_day=244).tolist() == [2]
    cut = cut_day_of_year(torch.arange(367))
    assert (torch.arange(367) - cut).sum() == 19
    assert cut[13] == 12


def test_a_day_has_the_same_vector_in_every_year() -> None:
    embedding = DayOfYearEmbedding(4)
    exists = torch.ones(1, 2, dtype=torch.bool)
    first, second = embedding(torch.tensor([[10, 10 + 730]]), exists)[0]
    assert torch.equal(first, second)
    padding = embedding(torch.tensor([[10, 300]]), torch.zeros(1, 2, dtype=torch.bool))[0]
    assert torch.equal(padding[0], padding[1])


def test_days_between_training_days_are_interpolated() -> None:
    embedding = TrainingDaysEmbedding(4, [0, 10, 30]).eval()
    table = embedding.evaluation_table()
    torch.testing.assert_close(table[9], embedding.table[1])
    torch.testing.assert_close(table[19], (embedding.table[1] + embedding.table[2]) / 2)
    torch.testing.assert_close(table[0], embedding.table[1])
    torch.testing.assert_close(table[364], embedding.table[2])
    with pytest.raises(ValueError, match='training_days'):
        TrainingDaysEmbedding(4, [30, 10])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(image_size=9), 'patch_size'),
        (dict(date_encoding='week'), 'date_encoding'),
        (dict(date_encoding='place'), 'num_dates'),
        (dict(training_days=[1]), 'training_days'),
        (dict(summary='mean'), 'class_tokens=False'),
        (dict(spatial_attention='all'), 'spatial_attention'),
        (dict(spatial_attention=None, whole_image=True), 'whole_image'),
    ],
)
def test_refuses_what_cannot_work(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize('variant', ['places', 'space_first'])
def test_more_dates_than_places_are_refused(variant: str) -> None:
    with pytest.raises(ValueError, match='SampleDates'):
        run(build(variant), make_series(t=13))


def test_the_head_puts_patches_where_they_belong() -> None:
    head = TSViTHead(8, num_classes=4)
    torch.nn.init.zeros_(head.classifier.weight)
    with torch.no_grad():
        head.classifier.bias.copy_(torch.arange(4.0))
        scores = head([torch.randn(1, 32, 2, 3)])
    assert scores.shape == (1, 4, 4, 6)
    assert scores[0, 0, 2:, 4:].flatten().tolist() == [0, 1, 2, 3]
    rows = TSViTHead(8, num_classes=4, writes_patches_as_rows=True)
    rows.load_state_dict(head.state_dict())
    with torch.no_grad():
        assert rows([torch.randn(1, 32, 2, 3)])[0, 0, 0].tolist() == [0, 1, 2, 3, 0, 1]
    with pytest.raises(ValueError, match='tokens'):
        head([torch.randn(1, 8, 2, 3)])


def test_moving_an_image_by_whole_patches_without_places_moves_the_scores() -> None:
    backbone, series = build('time_alone'), make_series()
    head = TSViTHead(8, num_classes=4).eval()
    moved = series._replace(values=series.values.roll(4, -1))
    with torch.no_grad():
        assert_same(head([run(backbone, moved)]), head([run(backbone, series)]).roll(4, -1))
