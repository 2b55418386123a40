# DAN: maximum mean discrepancy of the features. Batches hold the views source and target_strong.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='MMD', linear=True, trade_off=1.0),
)
