"""The segmentor: mmseg's heads and losses on image series, whole and slide inference."""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import MODELS
from torch import nn

from mmsits.structures import ImageSeries, SampleMeta, to_data_samples


class MeanOverDates(nn.Module):
    """A pixel-wise backbone: mean over valid dates, then a linear map per pixel."""

    min_size = 1
    out_channels = (8,)

    def __init__(self, min_size=1):
        super().__init__()
        self.min_size = min_size
        self.project = nn.Conv2d(2, 8, 1)

    def forward(self, inputs):
        series = inputs['s2']
        weight = series.valid.unsqueeze(2).float()
        mean = (series.values * weight).sum(1) / weight.sum(1).clamp(min=1)
        return (self.project(mean),)


class MeanOverPixelSet(MeanOverDates):
    """One feature per parcel."""

    pools_space = True

    def forward(self, inputs):
        return (super().forward(inputs)[0].mean((2, 3), keepdim=True),)


MODELS.register_module(module=MeanOverDates)
MODELS.register_module(module=MeanOverPixelSet)


def head(**kwargs):
    cfg = dict(type='FCNHead', in_channels=8, channels=8, num_convs=0, concat_input=False, num_classes=3)
    cfg.update(loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True), **kwargs)
    return cfg


def build(backbone='MeanOverDates', **kwargs):
    torch.manual_seed(0)
    statistics = dict(s2=dict(mean=[0.0, 0.0], std=[1.0, 1.0]))
    cfg = dict(
        type='TemporalEncoderDecoder',
        data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=2), statistics=statistics),
        backbone=dict(type=backbone),
        decode_head=head(),
    )
    return MODELS.build({**cfg, **kwargs}).eval()


def make_sample(size=(12, 10), label_size=None, seed=0, dates=4):
    generator = torch.Generator().manual_seed(seed)
    series = ImageSeries(
        torch.randn(dates, 2, *size, generator=generator),
        torch.arange(dates, dtype=torch.int32),
        torch.ones(dates, *size, dtype=torch.bool),
    )
    targets = torch.randint(0, 3, (1, *(label_size or size)), generator=generator, dtype=torch.uint8)
    meta = SampleMeta(sample_id=str(seed), season_start=0, img_shape=size)
    return dict(inputs={'s2': series}, targets=targets, metas=meta)


def batch_of(model, *samples):
    return model.data_preprocessor(pseudo_collate(list(samples)))


def test_loss_is_the_cross_entropy_of_labelled_pixels():
    model = build()
    sample = make_sample()
    sample['targets'][0, 2:] = 255
    batch = batch_of(model, sample)
    logits = model(**batch, mode='tensor')
    expected = nn.functional.cross_entropy(logits, batch['targets'].squeeze(1), ignore_index=255)
    torch.testing.assert_close(model(**batch, mode='loss')['decode.loss_ce'], expected)


def test_auxiliary_heads_add_their_weighted_losses():
    model = build(auxiliary_head=[head(), head()])
    losses = model(**batch_of(model, make_sample()), mode='loss')
    assert {'decode.loss_ce', 'aux_0.loss_ce', 'aux_1.loss_ce'} <= losses.keys()


@pytest.mark.parametrize('type_', ['FCNHead', 'SegformerHead'])
def test_heads_of_mmseg_train_a_step(type_):
    cfg = head(type=type_)
    if type_ == 'SegformerHead':
        cfg = dict(type=type_, in_channels=[8], in_index=[0], channels=8, num_classes=3, loss_decode=cfg['loss_decode'])
    model = build(decode_head=cfg).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = batch_of(model, make_sample(seed=0), make_sample(seed=1))
    losses = []
    for _ in range(5):
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_prediction_of_a_ragged_batch_equals_that_of_each_sample():
    model = build()
    samples = [make_sample((12, 10), seed=0), make_sample((7, 9), seed=1, dates=2)]
    together = to_data_samples(model(**batch_of(model, *samples), mode='predict')[0])
    for sample, result in zip(samples, together, strict=True):
        alone = model(**batch_of(model, sample), mode='predict')[0]
        torch.testing.assert_close(result.seg_logits.data, alone['logits'][0])
        assert torch.equal(result.pred_sem_seg.data[0], alone['prediction'][0])
        assert torch.equal(result.gt_sem_seg.data, sample['targets'].long())


def test_unobserved_pixels_are_told():
    model = build()
    sample = make_sample()
    sample['inputs']['s2'].valid[:, 3, 4] = False
    observed = model(**batch_of(model, sample), mode='predict')[0]['observed']
    assert not observed[0, 3, 4]
    assert observed.sum() == 12 * 10 - 1


def test_a_coarser_sensor_is_observed_where_its_pixels_lie():
    model = build()
    fine, coarse = make_sample((4, 4)), make_sample((2, 2), seed=1)
    fine['inputs']['s2'].valid[:] = False
    coarse['inputs']['s2'].valid[:, 0, 1] = False
    inputs = {name: batch_of(model, s)['inputs']['s2'] for name, s in (('s2', fine), ('s1', coarse))}
    observed = model.predict(inputs)[0]['observed'][0]
    assert not observed[:2, 2:].any()
    assert observed.sum() == 12


@pytest.mark.parametrize(
    'options',
    [
        dict(type='DAHead', in_channels=8, pam_channels=4),
        dict(
            type='EncHead',
            in_channels=[8, 8],
            in_index=[0, 0],
            num_codes=4,
            loss_se_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
        ),
    ],
    ids=lambda options: options['type'],
)
def test_heads_with_more_than_one_output_train_and_predict(options):
    loss = dict(type='CrossEntropyLoss', avg_non_ignore=True)
    model = build(decode_head=dict(channels=8, num_classes=3, loss_decode=loss, **options))
    batch = batch_of(model, make_sample())
    assert len(model(**batch, mode='loss')) > 2
    assert model(**batch, mode='predict')[0]['logits'].shape == (1, 3, 12, 10)


def test_a_parcel_gets_one_label():
    model = build('MeanOverPixelSet')
    batch = batch_of(model, make_sample((30, 1), (1, 1)), make_sample((20, 1), (1, 1), seed=1))
    assert model(**batch, mode='loss')['decode.loss_ce'].isfinite()
    result = model(**batch, mode='predict')[0]
    assert result['prediction'].shape == (2, 1, 1)
    assert result['observed'].all()


@pytest.mark.parametrize(('crop', 'stride'), [((5, 4), (3, 2)), ((4, 4), (4, 4)), ((40, 40), (20, 20))])
def test_sliding_windows_of_a_pixelwise_model_equal_the_whole(crop, stride):
    model = build(test_cfg=dict(mode='slide', crop_size=crop, stride=stride))
    inputs = batch_of(model, make_sample((13, 11)), make_sample((13, 11), seed=1))['inputs']
    torch.testing.assert_close(model.inference(inputs), model.encode_decode(inputs))


def test_sliding_windows_leave_a_constant_field_constant_and_blend_without_seams():
    model = build(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(5, 5)))
    inputs = batch_of(model, make_sample((21, 17)))['inputs']

    calls = []

    def window_number(window):
        calls.append(0)
        return torch.full((1, 3, 8, 8), float(len(calls) - 1))

    model.encode_decode = lambda window: torch.full((1, 3, 8, 8), 2.5)
    torch.testing.assert_close(model.inference(inputs), torch.full((1, 3, 21, 17), 2.5))
    model.encode_decode = window_number
    blended = model.inference(inputs)
    # Down the left column only the windows 0, 3, 6 and 9 are seen: the change from one to the next is gradual.
    steps = blended[0, 0, :, 0].diff()
    assert (steps >= 0).all()
    assert steps.max() < 3


def test_windows_that_count_the_same_are_averaged_where_they_overlap():
    model = build(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(5, 5), overlap='mean'))
    inputs = batch_of(model, make_sample((13, 8)))['inputs']
    scores = iter((torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)))
    model.encode_decode = lambda window: next(scores)
    expected = torch.tensor([0.0] * 5 + [0.5] * 3 + [1.0] * 5)
    torch.testing.assert_close(model.inference(inputs)[0, 0], expected[:, None].expand(13, 8))


def test_sliding_windows_refuse_sensors_on_different_grids():
    model = build(test_cfg=dict(mode='slide', crop_size=(4, 4), stride=(4, 4)))
    inputs = batch_of(model, make_sample((8, 8)))['inputs']
    coarse = batch_of(model, make_sample((4, 4)))['inputs']['s2']
    with pytest.raises(ValueError, match=r"one grid of 8×8.*'s1' has 4×4"):
        model.inference({**inputs, 's1': coarse})


def test_a_patch_below_the_smallest_size_is_refused():
    model = build(backbone='MeanOverDates')
    model.backbone.min_size = 16
    with pytest.raises(ValueError, match=r'at least 16×16 pixels; the batch is 12×10'):
        model(**batch_of(model, make_sample()))


@pytest.mark.parametrize(
    'test_cfg',
    [
        dict(mode='tiles'),
        dict(mode='slide', crop_size=(4, 4)),
        dict(mode='slide', crop_size=(4, 4), stride=(5, 4)),
        dict(mode='slide', crop_size=4, stride=4),
        dict(mode='slide', crop_size=(4, 4), stride=(4, 4), overlap='sum'),
        dict(mode='whole', cropsize=(4, 4)),
    ],
)
def test_impossible_windows_are_refused_when_built(test_cfg):
    with pytest.raises(ValueError, match='test_cfg'):
        build(test_cfg=test_cfg)


def test_one_output_channel_is_a_threshold():
    model = build(decode_head=head(num_classes=2, out_channels=1, threshold=0.5))
    result = model(**batch_of(model, make_sample()), mode='predict')[0]
    assert torch.equal(result['prediction'], (result['logits'].squeeze(1) > 0).long())


def test_a_map_for_samples_with_one_label_is_refused():
    model = build()
    batch = model.data_preprocessor(pseudo_collate([make_sample((5, 1), (1, 1))]), True)
    with pytest.raises(ValueError, match='one label, but MeanOverDates gives maps of 5×1'):
        model(**batch, mode='loss')
