# U-TAE on PASTIS by the published recipe, first of five runs: train on folds 1 to 3, validate on 4, test on 5.
_base_ = [
    '../_base_/models/utae.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(init_cfg=dict(type='XavierNormalInit')),
    decode_head=dict(init_cfg=dict(type='XavierNormalInit')),
)

# The recipe has no augmentation.
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_base_.test_pipeline))

# 100 epochs. Three of five folds of 2433 patches are about 1460, so 365 batches of 4; folds differ by a few patches.
val_interval = 365
train_cfg = dict(max_iters=100 * val_interval, val_interval=val_interval)
default_hooks = dict(checkpoint=dict(interval=val_interval))

# The published score: void counts neither as truth nor as prediction, means are over the classes with a defined score.
val_evaluator = dict(excluded_classes=['void'], average_over='reference_or_prediction')
test_evaluator = dict(excluded_classes=['void'], average_over='reference_or_prediction')

randomness = dict(seed=1)
