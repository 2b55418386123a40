# SL-GT2Net on the first set of Brandenburg (Sentinel-1, season 2017/18) as released: 41 dates become 48 steps.
_base_ = [
    '../_base_/models/slgt2net.py',
    '../_base_/datasets/brandenburg.py',
    '../_base_/schedules/schedule_slgt2net.py',
    '../_base_/default_runtime.py',
]

# The published mean and standard deviation of VH and VV.
model = dict(
    data_preprocessor=dict(statistics=dict(s1=dict(mean=[-16.37, -10.59], std=[3.12, 3.20]))),
    backbone=dict(length=48, trimmed_steps=8, window_lengths=((8, 4, 2), (8, 4, 2), (4, 4, 2), (2, 2, 2))),
    decode_head=dict(num_classes=15),
)

default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=3))
env_cfg = dict(cudnn_benchmark=True)
