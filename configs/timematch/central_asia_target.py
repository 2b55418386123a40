# Upper bound: trained on Fergana's own fields outside its test blocks. Compare on these blocks only.
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
train_dataloader = dict(dataset=dict(where=dict(region='Fergana', split='train')))
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4))
train_cfg = dict(max_iters=600)
# The last weights count: no label of Fergana chooses among them.
val_cfg = None
default_hooks = dict(checkpoint=dict(interval=600, save_best=None))
