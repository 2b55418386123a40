# Pixel-set encoder with L-TAE as in TimeMatch, for the ten Sentinel-2 bands of its parcels (uint16, divided by 65535).
# The published scenarios differ in the number of classes: set decode_head.num_classes.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(
        type='SeriesDataPreprocessor',
        sensors=dict(s2=10),
        statistics=dict(s2=dict(mean=[0.0] * 10, std=[65535.0] * 10)),
    ),
    backbone=dict(
        type='PixelSetBackbone',
        in_channels=10,
        mlp1=(32, 64),
        mlp2=(128,),
        encoder=dict(type='TimeMatchLTAE', in_channels=128, n_head=16, d_k=8, d_model=256, mlp=(256, 128), dropout=0.2),
    ),
    decode_head=dict(
        type='MLPHead',
        in_channels=128,
        hidden_channels=(64, 32),
        num_classes=12,
        loss_decode=dict(type='SoftmaxFocalLoss', gamma=1.0),
    ),
    test_cfg=dict(mode='whole'),
)
