# What STCLN is pre-trained on: all sixteen cells of 32×32 pixels of every patch of PASTIS' fold 5, without labels.
dataset_type = 'PASTISDataset'
data_root = '{{$MMSITS_DATA:data}}/PASTIS'

train_pipeline = [dict(type='LoadSeries'), dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folds=[5],
        cells=[(row, column) for row in range(4) for column in range(4)],
        pipeline=train_pipeline,
    ),
)
