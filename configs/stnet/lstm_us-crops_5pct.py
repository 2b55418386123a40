# The LSTM with 5 % of the labels; train_dataloader.dataset.label_seed draws others.
_base_ = './lstm_us-crops.py'
train_dataloader = dict(dataset=dict(label_fraction=0.05))
