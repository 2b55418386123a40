# CropMapping's network for pre-training on EUCROPMAP: 21 classes by themselves, and 'other' below the threshold.
# Statistics come from the training set. Days are the middles of the first and last of six monthly windows.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s1=2, s2=10)),
    backbone=dict(
        type='SiameseUNet3D', in_channels=dict(s1=2, s2=10), num_dates=6, width=64, days=(15, 168), sensor_dropout=0.1
    ),
    decode_head=dict(
        type='MultiLabelHead',
        in_channels=128,
        num_classes=22,
        prior=0.05,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
