# SL-GT2Net on MTS12 (Slovenia, Sentinel-1) as released.
_base_ = [
    '../_base_/models/slgt2net.py',
    '../_base_/datasets/slovenia.py',
    '../_base_/schedules/schedule_slgt2net.py',
    '../_base_/default_runtime.py',
]

# The published mean and standard deviation of VV and VH.
model = dict(
    data_preprocessor=dict(statistics=dict(s1=dict(mean=[127.09, 52.14], std=[43.30, 40.76]))),
)

default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=3))
env_cfg = dict(cudnn_benchmark=True)
