# As tsvit_100e_pastis24-fold1.py, run 5 of five.
_base_ = './tsvit_100e_pastis24-fold1.py'
fold = 5

train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
