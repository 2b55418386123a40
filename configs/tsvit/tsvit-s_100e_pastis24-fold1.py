# TSViT-S, a quarter of the weights.
_base_ = './tsvit_100e_pastis24-fold1.py'

model = dict(backbone=dict(dim=64, head_channels=16), decode_head=dict(in_channels=64))
