# ALDA: pseudo labels corrected by a discriminator. ramp_restarts_every=500 gives the published ramp.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='ALDA', threshold=0.7, hidden=1024, trade_off=1.0),
)
