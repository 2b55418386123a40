# Masked pre-training of U-TAE: it sums up the dates of a pixel, and is asked for the pixel's bands on a hidden day.
_base_ = './stcln_pretrain_simulated.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='UTAE',
        in_channels=10,
        encoder_widths=(16, 16, 32, 64),
        decoder_widths=(16, 16, 32, 64),
        n_head=8,
        d_model=64,
    ),
    mask=dict(over='dates'),
)
