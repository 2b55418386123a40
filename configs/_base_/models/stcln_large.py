# A larger STCLN with 28 million weights, which knows the days and leaves padding out.
_base_ = './stcln.py'
model = dict(
    backbone=dict(
        widths=(64, 512), num_layers=8, num_heads=16, positions='days', runs_over_padding=False, attention_dropout=0.0
    ),
    decode_head=dict(in_channels=512),
)
