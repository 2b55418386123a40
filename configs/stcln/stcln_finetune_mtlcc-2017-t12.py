# STCLN on 2 % of the labels of MTLCC of 2017, 12 dates, by the recipe behind the published table: 100 epochs of 39
# batches; from scratch, or with --cfg-options load_from=<weights of 2016 with 30 dates>.
_base_ = [
    '../_base_/models/stcln.py',
    '../_base_/datasets/stcln_mtlcc_2017_t12.py',
    '../_base_/schedules/schedule_stcln.py',
    '../_base_/default_runtime.py',
]

# Reflectances from 0 to 1, not normalised, as published.
_statistics = dict(s2=dict(mean=[0.0] * 13, std=[10000.0] * 13))
model = dict(
    data_preprocessor=dict(sensors=dict(s2=13), statistics=_statistics),
    backbone=dict(in_channels=13),
    decode_head=dict(num_classes=18),
)

train_cfg = dict(max_iters=3900, val_interval=39)
default_hooks = dict(checkpoint=dict(interval=39, save_best='OA'))
custom_hooks = [dict(type='WeightTransferHook')]
randomness = dict(seed=3407, deterministic=True)
