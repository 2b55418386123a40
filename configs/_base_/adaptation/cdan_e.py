# CDAN+E: as CDAN, sure predictions count more.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='CDAN', hidden=1024, weighted_by_entropy=True, trade_off=1.0),
)
