# Pixel-set encoder with TAE, as in TimeMatch.
_base_ = './pse_ltae.py'
model = dict(
    backbone=dict(
        encoder=dict(_delete_=True, type='TAE', in_channels=128, n_head=4, d_k=32, mlp=(512, 128, 128), dropout=0.2)
    )
)
