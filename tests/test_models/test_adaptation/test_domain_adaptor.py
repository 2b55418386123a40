import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from mmsits.models.adaptation import source_weights_as_adaptor
from tests.helpers.adaptation_batches import adaptor, batch, parcel_segmentor, views


def test_trains_and_validates_through_mmengines_steps() -> None:
    model = adaptor('parcels', 'TimeMatch', threshold=0.3)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.1),
            paramwise_cfg=dict(custom_keys={'segmentor.backbone': dict(lr_mult=0.1)}),
        ),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logs = model.train_step(views('parcels'), wrapper)
    assert {'loss', 'source.decode.loss_ce', 'target.decode.loss_ce', 'kept_share'} <= set(logs)
    after = model.state_dict()
    moved = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {'segmentor', 'method'}
    model.eval()
    answer = model.val_step(batch('parcels', 5))[0]
    assert answer['prediction'].shape == (6, 1, 1)
    assert answer['targets'] is not None


def test_the_teacher_predicts_and_is_shifted_if_asked() -> None:
    torch.manual_seed(0)
    config = dict(type='DomainAdaptor', segmentor=parcel_segmentor(), method=dict(type='TimeMatch'))
    model = MODELS.build(dict(config, predict_with='teacher', shift_when_predicting=True)).eval()
    with torch.no_grad():
        for parameter in model.segmentor.parameters():
            parameter.zero_()
    model.method.target_shift.fill_(13)
    data = model.data_preprocessor(batch('parcels', 5))
    series = data['inputs']['s2']
    expected = model.teacher.encode_decode({'s2': series._replace(days=series.days + 13)})
    assert torch.equal(model(**data, mode='predict')[0]['logits'], expected)
    assert torch.equal(model.encode_decode(data['inputs']), expected)
    assert expected.std() > 0


def test_the_teacher_stays_in_evaluation_mode_and_has_no_statistics_of_its_own() -> None:
    model = adaptor('parcels', 'FixMatch')
    assert model.training
    assert not any(module.training for module in model.teacher.modules())
    keys = [key for key in model.state_dict() if 'mean_s2' in key]
    assert keys == ['segmentor.data_preprocessor.mean_s2']


def test_views_that_are_missing_are_named() -> None:
    model = adaptor('parcels', 'FixMatch')
    data = model.data_preprocessor(views('parcels'), True)
    del data['target_strong']
    with pytest.raises(ValueError, match='lacks target_strong'):
        model(**data, mode='loss')
    with pytest.raises(ValueError, match='takes one ordinary batch'):
        model(**data, mode='predict')


def test_a_source_without_labels_is_refused() -> None:
    model = adaptor('parcels', 'MMD')
    data = model.data_preprocessor(views('parcels'), True)
    del data['source']['targets']
    with pytest.raises(ValueError, match='source domain has no labels'):
        model(**data, mode='loss')


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match='has no teacher'):
        MODELS.build(
            dict(type='DomainAdaptor', segmentor=parcel_segmentor(), method=dict(type='MMD'), predict_with='teacher')
        )
    with pytest.raises(ValueError, match=r'model\.segmentor'):
        MODELS.build(
            dict(type='DomainAdaptor', segmentor=parcel_segmentor(), method=dict(type='MMD'), data_preprocessor={})
        )


def test_weights_of_a_segmentor_go_to_student_and_teacher() -> None:
    source = MODELS.build(parcel_segmentor())
    model = adaptor('parcels', 'TimeMatch')
    model.load_state_dict(source_weights_as_adaptor(source.state_dict(), model.state_dict()))
    for name, value in source.state_dict().items():
        assert torch.equal(model.segmentor.state_dict()[name], value)
        if not name.startswith('data_preprocessor'):
            assert torch.equal(model.teacher.state_dict()[name], value)
