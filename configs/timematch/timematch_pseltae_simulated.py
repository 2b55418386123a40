# TimeMatch between two simulated regions, the second with vegetation 30 days later. In this order, a few minutes on
# one processor core:
#
#   python tools/dataset_converters/simulate.py data/simulated_parcels --layout timematch --patches 16 \
#       --target-shift-days 30
#   python tools/train.py configs/timematch/pseltae_source_simulated.py
#   python tools/train.py configs/timematch/timematch_pseltae_simulated.py
#   python tools/test.py configs/timematch/pseltae_source_simulated.py work_dirs/pseltae_source_simulated/iter_600.pth
#   python tools/test.py configs/timematch/timematch_pseltae_simulated.py \
#       work_dirs/timematch_pseltae_simulated/iter_400.pth
#
# Both tests are on the target: the source's network as it is, and after adaptation. The upper bound:
# pseltae_target_simulated.py. The estimated shift and its score curve appear in the folder shift_scores of the run.
_base_ = ['../_base_/datasets/timematch_adaptation_simulated.py', '../_base_/adaptation/timematch.py']

load_from = 'work_dirs/pseltae_source_simulated/iter_600.pth'

_strong_pipeline = [
    dict(type='SamplePixels', num_pixels=16),
    dict(type='SampleDates', num_dates=30),
    # Not the published 60 days: crops differ by a few days in how late they are.
    dict(type='ShiftDays', days=(-10, 10)),
    dict(type='PackSeriesInputs'),
]
_weak_pipeline = [dict(type='SamplePixels', num_pixels=16), dict(type='PackSeriesInputs')]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        domains=dict(
            source=dict(dataset=dict(pipeline=_strong_pipeline)),
            target=dict(views=dict(target_weak=_weak_pipeline, target_strong=_strong_pipeline)),
        )
    ),
)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)

model = dict(segmentor=dict(decode_head=dict(num_classes=8)))

# Fewer and longer steps than published, and a teacher that follows faster accordingly.
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_iters=400, val_interval=400)
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.99),
    dict(type='TemporalShiftHook', interval=100, estimator='AM', max_shift=60, num_batches=4, batch_size=128),
    dict(type='PseudoLabelLogHook', interval=100),
]
default_hooks = dict(checkpoint=dict(interval=200), logger=dict(interval=50))
