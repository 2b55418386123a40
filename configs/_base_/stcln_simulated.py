# What the small STCLN's pre-training and fine-tuning on simulated fields have in common. To make them:
# python tools/dataset_converters/simulate.py data/demo_simulated --layout pastis --patches 100 --patch-size 32 \
#     --dates 20 --pixel-noise 0.1 --classes 1 2 3 4 5 6 9
_base_ = ['./datasets/pastis.py', './schedules/schedule_demo.py', './default_runtime.py']
data_root = '{{$MMSITS_DATA:data}}/demo_simulated'

model = dict(
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(
        type='STCLN', in_channels=10, widths=(16, 64), num_layers=2, num_heads=4, dropout=0.0, positions='days'
    ),
)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(logger=dict(interval=20))
