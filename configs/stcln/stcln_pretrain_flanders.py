# Masked pre-training of the small STCLN on the images of Flanders' folds 1 and 2 (docs/flanders.md); nothing of fold 3
# is seen. Trained as on simulated fields: nothing was chosen on these tiles.
_base_ = './stcln_pretrain_simulated.py'
data_root = '{{$MMSITS_DATA:data}}/flanders'
fold = None

_season = dict(season_start='01-01', fold=None, split=None, folds=[1, 2])
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=_season)
val_dataloader = dict(dataset=_season)
