# TSViT as published for PASTIS in windows of 24×24 pixels, but with twenty outputs: the dataset lists void, which no
# pixel has. It writes patches as rows, cuts days and attends to padding, as the published weights do. Statistics come
# from the training set.
model = dict(
    type='TemporalEncoderDecoder',
    # The season of PASTIS begins on 1 September, day 244 of the year.
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10), reference_date='2018-09-01'),
    backbone=dict(
        type='TSViT',
        in_channels=10,
        num_classes=20,
        patch_size=2,
        image_size=24,
        dim=128,
        temporal_depth=4,
        spatial_depth=4,
        num_heads=4,
        head_channels=32,
        first_day=244,
        cut_days=True,
        runs_over_padding=True,
    ),
    decode_head=dict(
        type='TSViTHead',
        in_channels=128,
        num_classes=20,
        patch_size=2,
        writes_patches_as_rows=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='slide', crop_size=(24, 24), stride=(24, 24)),
)
