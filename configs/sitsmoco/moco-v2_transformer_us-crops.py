# The published pre-training: the Transformer on all unlabelled pixels of 2019. STNet takes its weights too.
_base_ = [
    '../_base_/models/moco_transformer.py',
    '../_base_/datasets/us_crops_views.py',
    '../_base_/schedules/schedule_moco.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [dict(type='ContrastMonitorHook', interval=100)]
default_hooks = dict(checkpoint=dict(interval=2000, save_best=None))
