# What to start from with a table of series of points or parcels; docs/real_series.md says what it reaches.
_base_ = [
    '../_base_/models/series_ensemble.py',
    '../_base_/datasets/series_table.py',
    '../_base_/schedules/schedule_series.py',
    '../_base_/default_runtime.py',
]
# The last weights count: nothing chooses among them.
# Rare classes count more, by the root of how rare they are: the aim is the mean over classes.
custom_hooks = [dict(type='ClassWeightHook', scheme='inverse_sqrt')]
default_hooks = dict(checkpoint=dict(interval=1500, save_best=None), logger=dict(interval=100))
