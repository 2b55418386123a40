# STNet on single pixels: the Transformer with its dates summed by greenness. It takes the same weights.
_base_ = './sitsmoco_transformer.py'
model = dict(backbone=dict(encoder=dict(type='STNet')))
