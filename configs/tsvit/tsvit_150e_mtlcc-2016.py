# TSViT on MTLCC of 2016 in tiles of 24×24 pixels, 16 dates, by the published recipe: 150 epochs of all tiles of
# train_fold0, a new rate once per epoch.
_base_ = [
    '../_base_/models/tsvit.py',
    '../_base_/datasets/mtlcc_2016_24px.py',
    '../_base_/schedules/schedule_tsvit.py',
    '../_base_/default_runtime.py',
]

# Reflectances from 0 to 1, not normalised, as published. Days count from the start of each sample's season, which is 1
# January of its year, be it trained on 2016 or tested with year=2017.
_statistics = dict(s2=dict(mean=[0.0] * 13, std=[10000.0] * 13))
model = dict(
    data_preprocessor=dict(sensors=dict(s2=13), statistics=_statistics, reference_date=None),
    backbone=dict(in_channels=13, num_classes=17, head_channels=64, first_day=1),
    decode_head=dict(num_classes=17),
)

param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=10,
        start_value=1e-8,
        eta_min=5e-4,
        held_for=1,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(_delete_=True, type='EpochCountedTrainLoop', max_epochs=150, val_interval=2000)
# Means over the classes whose score is defined, as published.
val_evaluator = dict(average_over='reference_or_prediction')
test_evaluator = dict(average_over='reference_or_prediction')
