# U-TAE on PASTIS by the published recipe, fifth of five runs: train on folds 5, 1 and 2, validate on 3, test on 4.
_base_ = './utae_100e_pastis-fold1.py'

fold = 5
train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
