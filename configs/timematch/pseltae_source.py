# PSE+L-TAE trained on the source alone, by the published recipe; the test is on the target ("source-only").
# Another scenario or fold: source, target, fold and the number of classes, in a child config or on the command line,
# with a --work-dir for each (README.md).
_base_ = [
    '../_base_/models/pse_ltae.py',
    '../_base_/datasets/timematch.py',
    '../_base_/schedules/schedule_timematch.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=1e-3))
# Published: 100 passes. A pass is (training parcels / 128) iterations, and the log names the number of parcels; what is
# set here is 100 passes of 25600 parcels. For another number: max_iters=… val_interval=… of the same size.
train_cfg = dict(max_iters=20000, val_interval=200)
# Chosen by the source's own validation parcels.
default_hooks = dict(checkpoint=dict(interval=1000, save_best='macro_F1'))
