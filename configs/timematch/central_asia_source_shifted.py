# As central_asia_source.py, all dates of a series shifted at random by up to 60 days.
_base_ = ['./central_asia_source.py']
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='SampleDates', num_dates=16),
            dict(type='ShiftDays', days=(-60, 60)),
            dict(type='PackSeriesInputs'),
        ]
    )
)
