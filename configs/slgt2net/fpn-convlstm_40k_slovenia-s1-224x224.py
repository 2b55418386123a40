# FPN with ConvLSTM on MTS12 (Slovenia, Sentinel-1) by the recipe of SL-GT2Net, to compare with.
_base_ = [
    '../_base_/models/fpn_convlstm.py',
    '../_base_/datasets/slovenia.py',
    '../_base_/schedules/schedule_slgt2net.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='SeriesDataPreprocessor',
        sensors=dict(s1=2),
        statistics=dict(s1=dict(mean=[127.09, 52.14], std=[43.30, 40.76])),
    ),
    backbone=dict(in_channels=2, sensor='s1'),
    decode_head=dict(num_classes=8),
    test_cfg=dict(mode='slide', crop_size=(224, 224), stride=(200, 200)),
)

default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=3))
env_cfg = dict(cudnn_benchmark=True)
