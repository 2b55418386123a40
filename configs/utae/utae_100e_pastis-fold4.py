# U-TAE on PASTIS by the published recipe, fourth of five runs: train on folds 4, 5 and 1, validate on 2, test on 3.
_base_ = './utae_100e_pastis-fold1.py'

fold = 4
train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
