# Pixel-set encoder with TempCNN, as in TimeMatch, at the 30 dates that its training samples (the published 24 cannot
# run there); other numbers of dates are interpolated.
_base_ = './pse_ltae.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True, type='TempCNN', in_channels=128, conv_channels=(32, 32, 128), mlp=(128, 128), length=30
        )
    )
)
