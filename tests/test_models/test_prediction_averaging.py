"""Test-time versions: what averaging promises whatever the network, with whole patches and sliding windows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.models.segmentors.prediction_averaging import DateDropout, View, _without_dates
from mmsits.structures import ImageSeries
from tests.helpers.adaptation_batches import adaptor, parcel_segmentor, patch_segmentor

SLIDE = dict(mode='slide', crop_size=(16, 16), stride=(8, 8))
WHOLE = dict(mode='whole')


def _build(config: dict[str, Any], **test_cfg: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.build({**config, 'test_cfg': test_cfg}).eval()


def _inputs(
    size: tuple[int, int] = (24, 24), dates: int = 6, samples: int = 2, seed: int = 0
) -> dict[str, ImageSeries]:
    generator = torch.Generator().manual_seed(0)
    valid = torch.rand(samples, dates, *size, generator=generator) < 0.8
    values = torch.randn(samples, dates, 4, *size, generator=generator) * valid[:, :, None]
    days = torch.arange(dates, dtype=torch.int32).expand(samples, -1) * 17
    return {'s2': ImageSeries(values, days, valid)}


def _move(inputs: dict[str, ImageSeries], change: Callable) -> dict[str, ImageSeries]:
    return {k: ImageSeries(change(s.values), s.days, change(s.valid)) for k, s in inputs.items()}


MOVES = dict(
    quarter=lambda plane: plane.rot90(1, (-2, -1)),
    three_quarters=lambda plane: plane.rot90(3, (-2, -1)),
    half=lambda plane: plane.rot90(2, (-2, -1)),
    mirrored=lambda plane: plane.flip(-1),
    upside_down=lambda plane: plane.flip(-2),
    transposed=lambda plane: plane.transpose(-1, -2),
)


@torch.no_grad()
@pytest.mark.parametrize('move', MOVES)
@pytest.mark.parametrize('cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
def test_the_prediction_of_a_moved_image_is_the_moved_prediction(cfg: dict, move: str) -> None:
    model = _build(patch_segmentor(), **cfg, test_time=dict(flips=True, rotations=True))
    inputs, change = _inputs((24, 18) if cfg is SLIDE else (24, 24)), MOVES[move]
    plain = model.infer_once(inputs)
    assert (model.infer_once(_move(inputs, change)) - change(plain)).abs().max() > 1e-3
    torch.testing.assert_close(model.inference(_move(inputs, change)), change(model.inference(inputs)))


@torch.no_grad()
@pytest.mark.parametrize(('options', 'moves'), [(dict(flips=True), 'mirrored'), (dict(rotations=True), 'quarter')])
def test_either_alone_is_indifferent_to_its_own_moves(options: dict, moves: str) -> None:
    model = _build(patch_segmentor(), mode='whole', test_time=options)
    inputs, change = _inputs(), MOVES[moves]
    assert len(model.averaging.views) == 4
    torch.testing.assert_close(model.inference(_move(inputs, change)), change(model.inference(inputs)))


def test_views_are_the_eight_positions_of_a_square_and_undone() -> None:
    plane = torch.arange(12).reshape(3, 4)
    views = _build(patch_segmentor(), mode='whole', test_time=dict(flips=True, rotations=True)).averaging.views
    assert len({tuple(view.of(plane).flatten().tolist()) + tuple(view.of(plane).shape) for view in views}) == 8
    assert all(torch.equal(view.back(view.of(plane)), plane) for view in views)
    assert views[0] == View()


@torch.no_grad()
def test_scores_are_those_of_the_mean_of_the_probabilities() -> None:
    model = _build(patch_segmentor(), mode='whole', test_time=dict(flips=True))
    inputs = _inputs()
    views = model.averaging.views
    expected = sum(view.back(model.encode_decode(_move(inputs, view.of))).softmax(1) for view in views) / len(views)  # type: ignore[union-attr]
    torch.testing.assert_close(model.inference(inputs).softmax(1), expected)
    prediction = model(inputs, mode='predict')[0]
    assert torch.equal(prediction['prediction'], expected.argmax(1))


@torch.no_grad()
def test_one_version_alone_changes_no_probability() -> None:
    inputs = _inputs()
    plain = _build(patch_segmentor(), mode='whole')
    averaged = _build(patch_segmentor(), mode='whole', test_time=dict(flips=False))
    torch.testing.assert_close(averaged.inference(inputs).softmax(1), plain.inference(inputs).softmax(1))


@torch.no_grad()
def test_binary_scores_are_averaged_as_probabilities_too() -> None:
    config = patch_segmentor()
    head = dict(
        type='FCNHead', in_channels=8, channels=8, num_convs=0, concat_input=False, num_classes=2, out_channels=1,
        threshold=0.5, norm_cfg=None, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )  # fmt: skip
    model = _build({**config, 'decode_head': head}, mode='whole', test_time=dict(flips=True))
    inputs = _inputs()
    views = model.averaging.views
    expected = sum(view.back(model.encode_decode(_move(inputs, view.of))).sigmoid() for view in views) / len(views)
    torch.testing.assert_close(model.inference(inputs).sigmoid(), expected)


DROPOUT = dict(share=0.4, repeats=3)


@torch.no_grad()
@pytest.mark.parametrize('kind', [patch_segmentor, parcel_segmentor])
def test_subsets_of_dates_do_not_depend_on_batch_and_padding(kind: Callable) -> None:
    model = _build(kind(), mode='whole', test_time=dict(date_dropout=DROPOUT))
    inputs = _inputs((8, 8) if kind is patch_segmentor else (5, 1))
    scores = model.inference(inputs)
    assert (scores.softmax(1) - model.infer_once(inputs).softmax(1)).abs().max() > 1e-4
    assert torch.equal(scores, model.inference(inputs))
    alone = {'s2': ImageSeries(*(part[1:] for part in inputs['s2']))}
    torch.testing.assert_close(model.inference(alone), scores[1:])
    padded = {'s2': ImageSeries(*(torch.cat([part, torch.zeros_like(part[:, :2])], 1) for part in inputs['s2']))}
    torch.testing.assert_close(model.inference(padded), scores, rtol=1e-4, atol=1e-5)


def test_the_wanted_share_of_dates_is_left_out_and_one_stays() -> None:
    series = _inputs((2, 2), dates=50)['s2']
    subsets = [_without_dates(series, DateDropout(share=0.3), repeat).valid.flatten(2).any(2) for repeat in range(40)]
    assert len({tuple(kept[0].tolist()) for kept in subsets}) == 40
    assert torch.stack(subsets).float().mean() == pytest.approx(0.7, abs=0.03)
    single = ImageSeries(*(part[:, :1] for part in series))
    for repeat in range(5):
        assert _without_dates(single, DateDropout(share=0.9), repeat).valid.flatten(1).any(1).all()


def test_a_date_is_left_out_whatever_the_clouds_of_the_others() -> None:
    series = _inputs((2, 2), dates=50)['s2']
    clouded = series._replace(valid=series.valid & (torch.arange(50) % 3 > 0)[None, :, None, None])
    one, other = (_without_dates(part, DateDropout(share=0.3), 1).valid for part in (series, clouded))
    assert torch.equal(other, one & clouded.valid)


@torch.no_grad()
def test_a_single_pixel_is_not_turned() -> None:
    calls = []
    model = _build(patch_segmentor(), mode='whole', test_time=dict(flips=True, rotations=True))
    model.encode_decode = lambda inputs: calls.append(1) or torch.zeros(2, 3, 1, 1)
    model.inference(_inputs((1, 1)))
    assert len(calls) == 1


@torch.no_grad()
def test_an_adaptor_predicts_with_its_networks_versions() -> None:
    model = adaptor('patches', 'FixMatch').eval()
    averaging = _build(patch_segmentor(), mode='whole', test_time=dict(flips=True, rotations=True)).averaging
    model.predictor.averaging = averaging
    inputs = _inputs()
    change = MOVES['quarter']
    moved = model(_move(inputs, change), mode='predict')[0]['logits']
    torch.testing.assert_close(moved, change(model(inputs, mode='predict')[0]['logits']))


@pytest.mark.parametrize(
    ('test_time', 'message'),
    [
        (dict(flip=True), 'flip'),
        (dict(date_dropout=dict(share=1.0)), 'between 0 and 1'),
        (dict(date_dropout=dict(number=2)), "unknown \\['number'\\]"),
    ],
)
def test_options_that_cannot_be_are_refused_when_built(test_time: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _build(patch_segmentor(), mode='whole', test_time=test_time)


def test_parcels_have_no_orientation() -> None:
    with pytest.raises(ValueError, match='PixelSetBackbone takes the pixels of a parcel'):
        _build(parcel_segmentor(), mode='whole', test_time=dict(rotations=True))


def test_checkpoints_that_nobody_read_are_not_forgotten() -> None:
    model = _build(patch_segmentor(), mode='whole', test_time=dict(checkpoints=['other.pth']))
    with pytest.raises(RuntimeError, match='load_ensemble'):
        model.inference(_inputs())
