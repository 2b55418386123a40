# PASTIS (fold 5) and MTLCC (2016) at once, to pre-train on without labels: the ten bands that both have, 32×32 pixels,
# at most 30 dates. Each batch is of one dataset, both are drawn alike often; other shares: shares=(2, 1).
_bands = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')

train_pipeline = [dict(type='SampleDates', num_dates=30), dict(type='SeriesRandomFlip'), dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='MixtureSampler', shares=(1, 1), batch_size=4),
    dataset=dict(
        type='MergedDataset',
        level=3,
        datasets=[
            dict(
                type='PASTISDataset',
                data_root='{{$MMSITS_DATA:data}}/PASTIS',
                folds=[5],
                cells=[(row, column) for row in range(4) for column in range(4)],
                bands=dict(s2=_bands),
                pipeline=[dict(type='LoadSeries'), *train_pipeline],
            ),
            dict(
                type='MTLCCDataset',
                data_root='{{$MMSITS_DATA:data}}/MTLCC/480',
                with_labels=False,
                bands=dict(s2=_bands),
                pipeline=[dict(type='SeriesRandomCrop', crop_size=32), *train_pipeline],
            ),
        ],
    ),
)
