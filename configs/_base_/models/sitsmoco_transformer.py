# The Transformer of SITS-MoCo on single pixels, for the ten Sentinel-2 bands of 10 m and 20 m as reflectance x 10000.
# The published normalisation stands here; set statistics=None to take that of the training data.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(
        type='SeriesDataPreprocessor',
        sensors=dict(s2=10),
        statistics=dict(
            s2=dict(
                mean=[1470.0, 1690.0, 1860.0, 2210.0, 2730.0, 2970.0, 3080.0, 3160.0, 2560.0, 1880.0],
                std=[2270.0, 2190.0, 2220.0, 2200.0, 2000.0, 1930.0, 1920.0, 1820.0, 1230.0, 1060.0],
            )
        ),
    ),
    backbone=dict(
        type='PixelwiseBackbone',
        in_channels=10,
        encoder=dict(
            type='PostNormTransformer', d_model=128, n_head=16, num_layers=1, hidden_channels=128, dropout=0.2
        ),
    ),
    decode_head=dict(type='MLPHead', in_channels=128, hidden_channels=(64, 32), hidden_bias=True, num_classes=21),
    test_cfg=dict(mode='whole'),
)
