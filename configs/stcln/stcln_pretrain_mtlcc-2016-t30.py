# Masked pre-training of STCLN on MTLCC of 2016, 30 dates, by the published recipe: 100 epochs of all tiles of
# train_fold0 that have 30 dates.
_base_ = [
    '../_base_/models/stcln_pretrain.py',
    '../_base_/datasets/mtlcc_2016.py',
    '../_base_/schedules/schedule_stcln_pretrain.py',
    '../_base_/default_runtime.py',
]

# Reflectances from 0 to 1, not normalised, as published. The ratio of the published script is 0.15, that of the weights
# which its fine-tuning loads 0.4.
_statistics = dict(s2=dict(mean=[0.0] * 13, std=[10000.0] * 13))
model = dict(
    data_preprocessor=dict(sensors=dict(s2=13), statistics=_statistics),
    backbone=dict(in_channels=13),
    vegetation_gate=dict(of_normalised_values=False),
)
train_dataloader = dict(dataset=dict(with_labels=False))
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None

default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=3, save_best=None))
custom_hooks = [dict(type='ReconstructionDrawingHook', interval=2000)]
randomness = dict(seed=3407)
