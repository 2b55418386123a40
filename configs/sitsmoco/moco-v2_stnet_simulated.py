# STNet itself pre-trained on simulated pixels.
_base_ = './moco-v2_transformer_simulated.py'
model = dict(backbone=dict(encoder=dict(type='STNet')))
