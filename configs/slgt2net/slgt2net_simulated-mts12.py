# A small SL-GT2Net on a simulated region in the layout of MTS12. Simulated beforehand:
# python tools/dataset_converters/simulate.py data/simulated_mts12 --layout mts12 --patches 28 --patch-size 64
_base_ = [
    '../_base_/models/slgt2net.py',
    '../_base_/datasets/slovenia.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/simulated_mts12'

# Statistics come from the training set; the loss is a mean over what is labelled.
model = dict(
    backbone=dict(
        embed_dims=(24, 48, 96),
        depths=(2, 2, 2),
        num_heads=(3, 6, 12),
        window_sizes=((4, 8, 8), (4, 8, 8), (4, 4, 4)),
        window_lengths=((8, 4, 2), (4, 4, 2), (2, 2, 2)),
    ),
    decode_head=dict(in_channels=24, loss_decode=dict(avg_non_ignore=True)),
    test_cfg=dict(crop_size=(64, 64), stride=(48, 48)),
)

train_pipeline = [
    dict(type='SeriesRandomCrop', crop_size=(32, 32)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))

# Four of the eight classes are not simulated: means over those that are.
val_evaluator = dict(average_over='reference')
test_evaluator = dict(average_over='reference')

train_cfg = dict(max_iters=400, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
