# TimeMatch as published. Batches hold the views source, target_weak and target_strong.
_base_ = 'self_training.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='TimeMatch', threshold=0.9, trade_off=2.0, separate_batch_norm=True),
)
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.9999),
    dict(type='TemporalShiftHook', interval=500, estimator='AM', max_shift=60, num_batches=100, batch_size=128),
    dict(type='PseudoLabelLogHook', interval=500),
]
