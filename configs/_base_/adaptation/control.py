# The control of all rivals: the same training on source and target, with the adaptation loss at weight zero.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='MMD', linear=True, trade_off=0.0),
)
