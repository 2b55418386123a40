# All but the network, for those compared with SL-GT2Net on MTS12: data, schedule, normalisation and test.
_base_ = ['./datasets/slovenia.py', './schedules/schedule_slgt2net.py', './default_runtime.py']

_data_preprocessor = dict(
    _delete_=True,
    type='SeriesDataPreprocessor',
    sensors=dict(s1=2),
    statistics=dict(s1=dict(mean=[127.09, 52.14], std=[43.30, 40.76])),
)
_test_cfg = dict(mode='slide', crop_size=(224, 224), stride=(200, 200))

default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=3))
env_cfg = dict(cudnn_benchmark=True)
