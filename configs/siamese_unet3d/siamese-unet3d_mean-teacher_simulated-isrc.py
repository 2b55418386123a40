# Pseudo labels for pixels that are not marked: a mean teacher labels the training patches, and what it is sure of is
# trained on beside what is marked. Start from siamese-unet3d_simulated-isrc.py.
_base_ = ['./siamese-unet3d_simulated-isrc.py']
load_from = 'work_dirs/siamese-unet3d_simulated-isrc/best_*.pth'

_loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=dict(_base_.model, decode_head=dict(_base_.model.decode_head, loss_decode=_loss)),
    method=dict(type='FixMatch', threshold=0.9, trade_off=0.5, separate_batch_norm=False),
    predict_with='teacher',
)

strong_pipeline = [
    dict(type='JitterValues', std=dict(s1=1.0, s2=0.02)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
_patches = dict(
    type='ISRCDataset', data_root={{_base_.data_root}}, split='train', negatives='other_fields', keep_in_memory=True
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='SeriesSampler', shuffle=False),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        _delete_=True,
        type='DomainViews',
        domains=dict(
            marked=dict(
                dataset=dict(_patches, pipeline=_base_.train_pipeline), views=dict(source=_base_.train_pipeline)
            ),
            unmarked=dict(
                dataset=dict(_patches, pipeline=_base_.train_pipeline),
                views=dict(target_weak=_base_.train_pipeline, target_strong=strong_pipeline),
            ),
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=None)
custom_hooks = [dict(type='MeanTeacherHook', decay=0.95), dict(type='PseudoLabelLogHook', interval=15)]
default_hooks = dict(source_weights=dict(type='SourceWeightsHook'))
