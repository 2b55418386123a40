# As tsvit_100e_pastis24-fold1.py, run 4 of five.
_base_ = './tsvit_100e_pastis24-fold1.py'
fold = 4

train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
