# STNet on single pixels, from scratch, or pre-trained: --cfg-options load_from=CHECKPOINT.
_base_ = [
    '../_base_/models/sitsmoco_stnet.py',
    '../_base_/datasets/us_crops.py',
    '../_base_/schedules/schedule_sitsmoco.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [dict(type='WeightTransferHook')]
default_hooks = dict(checkpoint=dict(interval=53, save_best='macro_F1'))
