# STNet on 182 real pixels out of a table, from scratch, or pre-trained:
# --cfg-options load_from=CHECKPOINT.
_base_ = [
    '../_base_/models/sitsmoco_stnet.py',
    '../_base_/datasets/us_toy_s2.py',
    '../_base_/schedules/schedule_us-toy-s2.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [dict(type='WeightTransferHook')]
# The last weights count: 29 series to validate on are too few to choose by.
default_hooks = dict(checkpoint=dict(interval=570, save_best=None))
