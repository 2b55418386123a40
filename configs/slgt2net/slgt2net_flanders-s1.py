# A small SL-GT2Net on real radar of Flanders in the layout of MTS12: trained on one patch (2018), tested on another
# (2019). Only the classes cultivated land, grassland and artificial surface occur. One patch in a year of maize tells
# little of the winter wheat that the other bears; a network trained on the simulated region knows both. Start from it:
# --cfg-options load_from=work_dirs/slgt2net_simulated-mts12/best_mIoU_iter_300.pth
_base_ = './slgt2net_simulated-mts12.py'
data_root = '{{$MMSITS_DATA:data}}/flanders-s1/slovenia'

# A quarter of each patch is held back, and 0 in its images.
train_pipeline = [
    dict(type='SeriesRandomCrop', crop_size=(32, 32)),
    dict(type='MaskNoData'),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='MaskNoData'), dict(type='PackSeriesInputs')]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
# There is no third part to choose on: the last weights are the ones to test.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(dataset=dict(data_root=data_root, split='val', pipeline=test_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=60, pct_start=0.1, by_epoch=False)]
train_cfg = dict(max_iters=60)
default_hooks = dict(checkpoint=dict(interval=60, save_best=None))
