# Pixel sets with L-TAE on the parcels of your own scene: a base to inherit. docs/your_data.md says what a child config
# has to name.
_base_ = [
    '../_base_/models/pse_ltae.py',
    '../_base_/datasets/scene.py',
    '../_base_/schedules/schedule_series.py',
    '../_base_/default_runtime.py',
]
samples = 'parcels'

# Normalised by mean and standard deviation of the scene's own bands.
model = dict(data_preprocessor=dict(statistics=None))
_pipeline = [dict(type='SamplePixels', num_pixels=64), dict(type='PackSeriesInputs')]
_all_pixels = [dict(type='PackSeriesInputs')]
train_dataloader = dict(batch_size=32, num_workers=0, persistent_workers=False, dataset=dict(pipeline=_pipeline))
# The last weights count: nothing chooses among them, and no labels are kept back for it.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    # Parcels of similar size share a batch, as they are padded to the largest.
    batch_sampler=dict(type='SizeBatchSampler'),
    dataset=dict(pipeline=_all_pixels),
)
default_hooks = dict(checkpoint=dict(interval=500, save_best=None), logger=dict(interval=100))
