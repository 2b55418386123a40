# The small STCLN on Flanders' folds 1 and 2, tested on fold 3 (docs/flanders.md); from scratch, or with
# --cfg-options load_from=work_dirs/stcln_pretrain_flanders/iter_600.pth
# Trained as on simulated fields; data and weights of classes are those of U-TAE.
_base_ = './stcln_finetune_simulated.py'
data_root = '{{$MMSITS_DATA:data}}/flanders'
fold = None

_class_weight = [1.0] * 20
_class_weight[1:5] = [0.47, 0.54, 0.56, 0.77]  # meadow, soft winter wheat, corn, winter barley
_class_weight[9] = _class_weight[13] = 1.83  # beet, potatoes
# With weights, mmseg's loss leaves ignored pixels out of the mean by itself.
model = dict(decode_head=dict(loss_decode=dict(avg_non_ignore=False, class_weight=_class_weight)))

_season = dict(season_start='01-01', ignored_classes=('background',), fold=None, split=None)
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(folds=[1, 2], **_season))
test_dataloader = dict(dataset=dict(folds=[3], **_season))
# Nothing may be chosen on fold 3, so the last weights are the ones to test.
val_dataloader = None
val_cfg = None
val_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None))
