# SL-GT2Net as released for Slovenia (MTS12): VV and VH of twelve months, brought to sixteen steps by reflection, eight
# classes. Statistics come from the training set.
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s1=2)),
    backbone=dict(
        type='SLGT2Net',
        in_channels=2,
        embed_dims=(96, 192, 384, 768),
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_sizes=((7, 14, 21), (7, 14, 21), (7, 14, 14), (7, 7, 7)),
        window_lengths=((8, 4, 2), (4, 4, 2), (2, 2, 2), (1, 1, 1)),
        # The paper's sparsity is topk_div=2, its channel refinement channel_refinement=True; neither is in the release.
        topk_div=1,
        qkv_bias=True,
        drop_path_rate=0.1,
        length=16,
        fit_dates='reflect',
        sensor='s1',
    ),
    decode_head=dict(
        type='ConvHead',
        in_channels=96,
        num_classes=8,
        # The mean over all pixels, ignored ones too, as released.
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=False),
        init_cfg=dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu', distribution='normal'),
    ),
    test_cfg=dict(mode='slide', crop_size=(224, 224), stride=(200, 200)),
)
