# The default for series (configs/series/recipe.py) on single pixels of your own scene: a base to inherit, for points,
# and for fields pixel by pixel. docs/your_data.md says what a child config has to name.
_base_ = [
    '../_base_/models/series_ensemble.py',
    '../_base_/datasets/scene.py',
    '../_base_/schedules/schedule_series.py',
    '../_base_/default_runtime.py',
]
samples = 'pixels'

model = dict(
    data_preprocessor=dict(sensors=dict(_delete_=True, s2=10)),
    backbone=dict(sensor='s2'),
)
_pipeline = [dict(type='PackSeriesInputs')]
train_dataloader = dict(batch_size=32, num_workers=0, persistent_workers=False, dataset=dict(pipeline=_pipeline))
# Rare classes count more, by the root of how rare they are.
custom_hooks = [dict(type='ClassWeightHook', scheme='inverse_sqrt')]
# The last weights count: nothing chooses among them, and no labels are kept back for it.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(batch_size=512, num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=500, save_best=None), logger=dict(interval=100))
