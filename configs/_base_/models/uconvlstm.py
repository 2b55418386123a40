# U-ConvLSTM as published with U-TAE, for the ten Sentinel-2 bands and twenty classes of PASTIS. Statistics come from
# the training set.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(
        type='UConvLSTM',
        in_channels=10,
        encoder_widths=(64, 64, 64, 128),
        decoder_widths=(32, 32, 64, 128),
        hidden_channels=64,
        temporal='lstm',
    ),
    decode_head=dict(
        type='UTAEHead',
        in_channels=32,
        channels=32,
        padding_mode='zeros',
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
