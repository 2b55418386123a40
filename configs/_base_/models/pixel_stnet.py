# STNet on single pixels: the Transformer with its dates summed by greenness. It takes the same weights.
_base_ = './pixel_transformer.py'
model = dict(backbone=dict(encoder=dict(type='STNet')))
