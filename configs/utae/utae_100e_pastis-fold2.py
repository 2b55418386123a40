# U-TAE on PASTIS by the published recipe, second of five runs: train on folds 2 to 4, validate on 5, test on 1.
_base_ = './utae_100e_pastis-fold1.py'

fold = 2
train_dataloader = dict(dataset=dict(fold=fold))
val_dataloader = dict(dataset=dict(fold=fold))
test_dataloader = dict(dataset=dict(fold=fold))
