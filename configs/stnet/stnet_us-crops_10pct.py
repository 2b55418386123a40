# STNet with 10 % of the labels; train_dataloader.dataset.label_seed draws others.
_base_ = './stnet_us-crops.py'
train_dataloader = dict(dataset=dict(label_fraction=0.1))
