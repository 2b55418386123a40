# As central_asia_source.py, all dates of a series shifted at random by up to 60 days.
_base_ = [
    '../_base_/models/pse_ltae.py',
    '../_base_/datasets/central_asia.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(_delete_=True, type='SeriesDataPreprocessor', sensors=dict(ndvi=1)),
    backbone=dict(in_channels=1, sensor='ndvi'),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='SampleDates', num_dates=16),
            dict(type='ShiftDays', days=(-60, 60)),
            dict(type='PackSeriesInputs'),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4))
train_cfg = dict(max_iters=600)
# The last weights count: no label of Fergana chooses among them.
val_cfg = None
default_hooks = dict(checkpoint=dict(interval=600, save_best=None))
