# U-TAE on PASTIS by the published recipe, third of five runs: train on folds 3 to 5, validate on 1, test on 2.
_base_ = './utae_100e_pastis-fold1.py'

fold = 3
train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
