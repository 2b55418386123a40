# MoCo v1: a projector of one layer.
_base_ = './moco-v2_transformer_us-crops.py'
model = dict(mlp=False)
