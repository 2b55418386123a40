"""Handing weights of a pre-training on: what fits, what is new, what is refused."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop
from mmseg.registry import MODELS
from torch import nn

from mmsits.engine import CheckpointError, WeightTransferHook, transfer_weights
from mmsits.engine.hooks.weight_transfer_hook import still_to_agree

WIDTHS = dict(embed_channels=(6,), d_model=8, n_head=2, hidden_channels=7)


def backbone(encoder: str, **options: Any) -> dict:
    return dict(type='PixelwiseBackbone', in_channels=10, encoder=dict(type=encoder, **WIDTHS, **options))


def pretrained(encoder: str = 'PostNormTransformer') -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    preprocessor = dict(
        type='SeriesDataPreprocessor', sensors=dict(s2=10), statistics=dict(s2=dict(mean=[5.0] * 10, std=[2.0] * 10))
    )
    moco = dict(type='SeriesMoCo', backbone=backbone(encoder), dim=4, queue_size=8, data_preprocessor=preprocessor)
    return MODELS.build(moco).state_dict()


def classifier(encoder: str = 'STNet', **options: Any) -> nn.Module:
    torch.manual_seed(1)
    return MODELS.build(
        dict(
            type='TemporalEncoderDecoder',
            data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
            backbone=backbone(encoder, **options),
            decode_head=dict(type='MLPHead', in_channels=8, hidden_channels=(4,), num_classes=3),
        )
    )


def test_what_data_of_pre_training_and_fine_tuning_have_to_share() -> None:
    known = dict(
        bands=dict(s2=['B02'], s1=['VV']), units=dict(s2='a', s1='dB'), classes=['x'], season_start='2016-01-01'
    )
    later = dict(bands=dict(s2=['B03'], s3=['Oa1']), units=dict(s2='a', s3='b'), season_start='2017-01-01')
    kept = still_to_agree(known, later)
    assert kept['bands'] == dict(s2=['B02'], s3=['Oa1'])
    assert kept['units'] == dict(s2='a', s3='b')
    assert kept['season_start'] == '2017-01-01'
    assert 'classes' not in kept
    assert still_to_agree(known, dict(season_start='2017-09-01'))['season_start'] == '2016-01-01'


def runner_of(model: nn.Module, training: bool = True, resume: bool = False) -> Any:
    loop = BaseLoop.__new__(type('Loop', (BaseLoop,), dict(run=lambda self: None))) if training else None
    logger = MMLogger.get_instance('transfer')
    return SimpleNamespace(model=model, _train_loop=loop, _resume=resume, logger=logger)


def test_a_transformer_is_handed_on_to_an_stnet() -> None:
    model, weights = classifier(), pretrained()
    own = {name: value.clone() for name, value in model.state_dict().items()}
    transfer = transfer_weights(weights, own)
    model.load_state_dict(transfer.weights)
    assert model.data_preprocessor.mean_s2.tolist() == [5.0] * 10
    assert not transfer.reshaped
    for name, value in model.state_dict().items():
        if name.startswith('decode_head.') or '.weighting.' in name:
            assert name in transfer.new
            torch.testing.assert_close(value, own[name], equal_nan=True)
        else:
            assert name in transfer.loaded
            assert torch.equal(value, weights[name])
    assert set(transfer.unused) == {n for n in weights if not n.startswith(('backbone.', 'data_preprocessor.'))}


def test_weights_of_another_shape_stay_as_they_were_and_are_listed() -> None:
    weights, model = pretrained(), classifier()
    weights['backbone.encoder.embed.0.linear.weight'] = torch.zeros(6, 4)
    transfer = transfer_weights(weights, model.state_dict())
    assert transfer.reshaped == {'backbone.encoder.embed.0.linear.weight': ((6, 4), (6, 10))}
    table = transfer.table()
    assert 'backbone.encoder.embed.0.linear.weight (6, 4), in the model (6, 10)' in table
    line = next(line.split() for line in table.splitlines() if line.startswith('decode_head.layers'))
    assert line[1] == '0'


def test_weights_of_another_backbone_are_refused_with_the_names_of_both() -> None:
    model = MODELS.build(
        dict(
            type='PixelwiseBackbone', in_channels=10, encoder=dict(type='TempCNN', length=5, positional_encoding=False)
        )
    )
    own = {f'backbone.{name}': value for name, value in model.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r'None .* fits.*embed\.0\.linear\.weight.*backbone\.encoder\.convs'
    ) as error:
        transfer_weights(pretrained(), own)
    assert 'and ' in str(error.value)


def test_prefixes_say_where_weights_belong() -> None:
    weights = {f'student.{name}': value for name, value in pretrained().items()}
    model = classifier('PostNormTransformer')
    with pytest.raises(CheckpointError):
        transfer_weights(weights, model.state_dict())
    transfer = transfer_weights(weights, model.state_dict(), {'student.key_backbone.': 'backbone.'})
    assert all(name.startswith('backbone.') for name in transfer.loaded)


def test_the_hook_completes_the_checkpoint_and_lets_others_pass() -> None:
    model, hook = classifier(), WeightTransferHook()
    checkpoint = dict(state_dict=pretrained(), meta=dict(dataset_meta=dict(classes=('a',), bands=dict(s2=('B02',)))))
    hook.after_load_checkpoint(runner_of(model), checkpoint)
    assert checkpoint['state_dict'].keys() == model.state_dict().keys()
    assert checkpoint['meta']['dataset_meta'] == dict(bands=dict(s2=('B02',)))
    for runner in (runner_of(model, training=False), runner_of(model, resume=True)):
        untouched: dict = dict(state_dict=pretrained())
        hook.after_load_checkpoint(runner, untouched)
        assert 'queue' in untouched['state_dict']
    whole: dict = dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=('a',))))
    hook.after_load_checkpoint(runner_of(model), whole)
    assert whole['meta']['dataset_meta']['classes'] == ('a',)
