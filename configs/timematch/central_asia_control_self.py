# The control of TimeMatch and FixMatch: their network, loss and schedule, the target's loss at weight zero.
_base_ = 'central_asia_fixmatch.py'
model = dict(method=dict(trade_off=0.0))
