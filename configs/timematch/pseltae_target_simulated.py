# The upper bound of timematch_pseltae_simulated.py: the source's recipe with the target's labels.
_base_ = './pseltae_source_simulated.py'
train_dataloader = dict(dataset=dict(role='target'))
val_dataloader = dict(dataset=dict(role='target'))
