# STNet itself pre-trained: its weights by greenness take part.
_base_ = './moco-v2_transformer_us-crops.py'
model = dict(backbone=dict(encoder=dict(type='STNet')))
