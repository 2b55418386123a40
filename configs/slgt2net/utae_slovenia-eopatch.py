# A small U-TAE on the real patch of Slovenia from another sensor, to compare with: it sees single pixels and days.
_base_ = './slgt2net_slovenia-eopatch.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='UTAE',
        in_channels=2,
        encoder_widths=(32, 64),
        decoder_widths=(16, 64),
        d_model=128,
        sensor='s1',
    ),
    decode_head=dict(
        _delete_=True,
        type='ConvHead',
        in_channels=16,
        num_classes=8,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
)
