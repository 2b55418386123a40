# STCLN as released, for the ten Sentinel-2 bands and twenty classes of PASTIS: it knows the order of dates, not the
# days, and takes padding for images of zeros. Statistics come from the training set.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(
        type='STCLN',
        in_channels=10,
        widths=(32, 256),
        num_layers=3,
        num_heads=8,
        positions='order',
        runs_over_padding=True,
    ),
    decode_head=dict(
        type='STCLNHead',
        in_channels=256,
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    # The attention among pixels grows with the square of their number. Published is mode='whole'.
    test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(40, 40)),
)
