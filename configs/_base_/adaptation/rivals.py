# The network and schedule of the methods that TimeMatch is compared with: cross-entropy instead of the focal loss.
_base_ = ['adaptation_runtime.py', '../models/pse_ltae.py', '../schedules/schedule_rivals.py']
model = dict(
    decode_head=dict(loss_decode=dict(_delete_=True, type='CrossEntropyLoss', avg_non_ignore=True)),
)
