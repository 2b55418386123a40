# U-TAE of each sensor of PASTIS-R, their last maps side by side (late fusion). Statistics come from the training set.
_utae = dict(
    type='UTAE',
    encoder_widths=(64, 64, 64, 128),
    decoder_widths=(32, 32, 64, 128),
    n_head=16,
    d_model=256,
    d_k=4,
)
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s1a=3, s1d=3, s2=10)),
    backbone=dict(
        type='FusionBackbone',
        fusion='late',
        backbones=dict(s1a=dict(_utae, in_channels=3), s1d=dict(_utae, in_channels=3), s2=dict(_utae, in_channels=10)),
        sensor_dropout=0.0,
    ),
    decode_head=dict(
        type='UTAEHead',
        in_channels=96,
        channels=32,
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
