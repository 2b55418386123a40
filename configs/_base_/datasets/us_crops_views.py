# Two views of unlabelled pixels in the layout of SITS-MoCo, augmented as published.
dataset_type = 'USCropsDataset'
data_root = '{{$MMSITS_DATA:data}}/us_crops'
year = 2019

# Half of each band's standard deviation, in the unit of the files (reflectance x 10000).
_amount = [1135.0, 1095.0, 1110.0, 1100.0, 1000.0, 965.0, 960.0, 910.0, 615.0, 530.0]
view_pipeline = [
    dict(type='RollDates'),
    dict(type='DisturbDates', amount=dict(s2=_amount)),
    dict(type='ThinDates'),
    dict(type='SampleDates', num_dates=70, repeat=True),
    dict(type='PackSeriesInputs'),
]

train_dataloader = dict(
    batch_size=512,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type='ContrastiveViews',
        dataset=dict(type=dataset_type, data_root=data_root, year=year, split='unlabelled'),
        pipeline=view_pipeline,
    ),
)
