# STNet itself pre-trained on the real pixels.
_base_ = './moco-v2_transformer_us-toy-s2.py'
model = dict(backbone=dict(encoder=dict(type='STNet')))
