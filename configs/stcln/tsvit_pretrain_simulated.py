# Masked pre-training of TSViT: its tokens sum up the dates of a patch, and are asked for its bands on a hidden day.
_base_ = './stcln_pretrain_simulated.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TSViT',
        in_channels=10,
        num_classes=20,
        image_size=16,
        dim=32,
        temporal_depth=2,
        spatial_depth=2,
        num_heads=2,
        head_channels=16,
        first_day=244,
    ),
)
