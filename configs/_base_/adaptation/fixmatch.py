# TimeMatch without any shift in time.
_base_ = 'self_training.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='FixMatch', threshold=0.9, trade_off=2.0, separate_batch_norm=True),
)
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.9999),
    dict(type='PseudoLabelLogHook', interval=500),
]
