# U-TAE on MTS12 (Slovenia, Sentinel-1) by the recipe of SL-GT2Net, to compare with.
_base_ = ['../_base_/models/utae.py', '../_base_/slgt2net_rival.py']

model = dict(
    data_preprocessor={{_base_._data_preprocessor}},
    backbone=dict(in_channels=2, sensor='s1'),
    decode_head=dict(num_classes=8),
    test_cfg={{_base_._test_cfg}},
)
