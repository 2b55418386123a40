# PSE+L-TAE trained on the source of two simulated regions; where timematch_pseltae_simulated.py starts from.
_base_ = [
    '../_base_/models/pse_ltae.py',
    '../_base_/datasets/timematch_simulated.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]

# Seven crops, and 'unknown' for beet and potatoes, which TimeMatch's French table does not have.
model = dict(decode_head=dict(num_classes=8))

# The season is left as it is: a network trained on randomly shifted dates cannot tell a shift any more.
_train_pipeline = [
    dict(type='SamplePixels', num_pixels=16),
    dict(type='SampleDates', num_dates=30),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=32, num_workers=0, persistent_workers=False, dataset=dict(pipeline=_train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)

default_hooks = dict(
    checkpoint=dict(interval=200, save_best='macro_F1'),
    logger=dict(interval=50),
)
