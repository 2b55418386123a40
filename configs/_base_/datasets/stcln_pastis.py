# STCLN's protocol on PASTIS: two cells of 32×32 pixels of 72 patches (2 % of the labels, some listed twice) of fold 1
# to train, the same of fold 2 to choose the network by, whole patches of fold 4 to test; each has its fold's
# statistics. Other shares, cells of (row, column): 1 % [(0, 0)]; 5 % [(0, 0), (1, 1), (2, 2), (3, 3), (1, 0)].
dataset_type = 'PASTISDataset'
data_root = '{{$MMSITS_DATA:data}}/PASTIS'

test_pipeline = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folds=[1],
        patches='stcln_pastis_train',
        cells=[(0, 0), (1, 1)],
        ignored_classes=['background'],
        statistics_in_sample=True,
        pipeline=test_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folds=[2],
        patches='stcln_pastis_val',
        cells=[(0, 0), (1, 1)],
        ignored_classes=['background'],
        statistics_in_sample=True,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        folds=[4],
        ignored_classes=['background'],
        statistics_in_sample=True,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

# Background and void do not count as truth; where they are predicted, that is an error.
val_evaluator = dict(type='SeriesSegmentationMetric', average_over='reference_submatrix')
test_evaluator = dict(type='SeriesSegmentationMetric', average_over='reference_submatrix')
