# CDAN: as DANN, on the product of features and predictions.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='CDAN', hidden=1024, trade_off=1.0),
)
