# JUMBOT: unbalanced optimal transport. solver='float32' is the published one, whose plan is zero as a rule.
_base_ = 'rivals.py'
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=_base_.model,
    method=dict(type='JUMBOT', eta1=0.01, eta2=1.0, epsilon=0.01, tau=0.5),
)
