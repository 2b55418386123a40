# ConvGRU as published with U-TAE, for the ten Sentinel-2 bands and twenty classes of PASTIS. Statistics come from the
# training set.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(type='ConvRecurrentBackbone', in_channels=10, cell='gru', hidden_channels=180),
    decode_head=dict(
        type='ConvHead',
        in_channels=180,
        kernel_size=3,
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
