# As stcln_finetune_simulated.py, on 5 % of the labelled patches.
_base_ = './stcln_finetune_simulated.py'

train_dataloader = dict(drop_last=False, batch_size=3, dataset=dict(label_fraction=0.05))
