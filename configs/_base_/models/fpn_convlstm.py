# Feature pyramid and ConvLSTM as published with U-TAE, for the ten Sentinel-2 bands and twenty classes of PASTIS.
# Statistics come from the training set.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(
        type='FPNConvLSTM',
        in_channels=10,
        inconv_widths=(32, 64),
        num_levels=4,
        num_channels=64,
        hidden_channels=88,
    ),
    decode_head=dict(
        type='ConvHead',
        in_channels=88,
        kernel_size=1,
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
