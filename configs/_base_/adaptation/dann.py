# DANN: features that a discriminator cannot tell apart by domain.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='DANN', hidden=1024, trade_off=1.0),
)
