# The default for series of points and parcels: networks side by side, each with its own classifier, whose
# probabilities are averaged. A config that inherits this one sets the number of bands (twice), of classes, and the days
# of the season, counted from `season_start`, that series are interpolated to.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(series=10), nan_is_mean=True),
    backbone=dict(
        type='PixelwiseBackbone',
        sensor='series',
        in_channels=10,
        encoder=dict(
            type='SeriesMLP',
            hidden_channels=(256, 256),
            members=5,
            days=(0, 360),
            length=37,
            input_dropout=0.0,
            dropout=0.2,
        ),
    ),
    decode_head=dict(
        type='EnsembleHead',
        in_channels=1280,
        num_members=5,
        num_classes=21,
        loss_decode=dict(type='SmoothedCrossEntropyLoss', label_smoothing=0.1),
    ),
    test_cfg=dict(mode='whole'),
)
