# TempCNN (Pelletier et al., 2019) for series of points and parcels: three convolutions of 64 channels over the regular
# days, then a dense layer. `length` is that of `days`: see series_ensemble.py.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='TempCNN',
            conv_channels=(64, 64, 64),
            mlp=(256,),
            days=(0, 360),
            length=37,
            kernel_size=5,
            dropout=0.5,
            positional_encoding=False,
        )
    ),
    decode_head=dict(in_channels=256, num_members=1),
)
