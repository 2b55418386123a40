# TempCNN as SITS-MoCo compares with, on single pixels. Series are brought to 70 steps.
_base_ = './sitsmoco_transformer.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='TempCNN',
            conv_channels=(128, 128, 128),
            mlp=(512,),
            length=70,
            kernel_size=7,
            dropout=0.2,
            positional_encoding=False,
        )
    ),
    decode_head=dict(in_channels=512, hidden_channels=()),
)
