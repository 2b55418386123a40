# The upper bound: the recipe of pseltae_source.py with the target's labels. The classes stay those of the source.
_base_ = './pseltae_source.py'
train_dataloader = dict(dataset=dict(role='target'))
val_dataloader = dict(dataset=dict(role='target'))
