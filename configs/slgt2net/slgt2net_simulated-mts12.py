# A small SL-GT2Net on a simulated region in the layout of MTS12. Simulated beforehand:
# python tools/dataset_converters/simulate.py data/simulated_mts12 --layout mts12 --patches 28 --patch-size 64
_base_ = [
    '../_base_/models/slgt2net.py',
    '../_base_/datasets/slovenia.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/simulated_mts12'

# Two levels: the patches have 64 by 64 pixels. Statistics come from the training set; the loss is a mean over what is
# labelled. Windows of the test have the size of the crops, as the pooled maps of the global attention cover the image.
model = dict(
    backbone=dict(
        embed_dims=(24, 48),
        depths=(2, 2),
        num_heads=(3, 6),
        window_sizes=((2, 4, 8), (2, 4, 4)),
        window_lengths=((8, 4, 2), (4, 4, 2)),
    ),
    decode_head=dict(in_channels=24, loss_decode=dict(avg_non_ignore=True)),
    test_cfg=dict(crop_size=(32, 32), stride=(24, 24)),
)

# Most of the region is cultivated land: crops of little else are drawn again, as in the released recipe.
train_pipeline = [
    dict(type='SeriesRandomCrop', crop_size=(32, 32), max_class_share=0.75),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))

# Three of the eight classes are not simulated: means over those that are.
val_evaluator = dict(average_over='reference')
test_evaluator = dict(average_over='reference')

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=3e-3, total_steps=300, pct_start=0.1, by_epoch=False)]
train_cfg = dict(max_iters=300, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
