# As central_asia_control_self.py, from the network of central_asia_source_jittered.py and with dates moved like there.
_base_ = 'central_asia_control_self.py'
load_from = 'work_dirs/central_asia_source_jittered/iter_600.pth'
_jittered = [
    dict(type='SampleDates', num_dates=16),
    dict(type='ShiftDays', days=(-8, 7)),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(
    dataset=dict(
        domains=dict(source=dict(dataset=dict(pipeline=_jittered)), target=dict(views=dict(target_strong=_jittered)))
    )
)
