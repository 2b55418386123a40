# TimeMatch, adaptation: batches of source parcels with labels, all classes equally likely, and of target parcels
# without, each in a weak and a strong view.
_base_ = ['./timematch.py']

train_dataloader = dict(
    # The sampler counts draws; which parcels they are, each domain decides for itself.
    sampler=dict(type='SeriesSampler', shuffle=False),
    dataset=dict(
        _delete_=True,
        type='DomainViews',
        domains=dict(
            source=dict(
                order='class_balanced',
                dataset=dict(
                    type={{_base_.dataset_type}},
                    data_root={{_base_.data_root}},
                    source={{_base_.source}},
                    target={{_base_.target}},
                    role='source',
                    fold={{_base_.fold}},
                    split='train',
                    min_parcels={{_base_.min_parcels}},
                    pipeline={{_base_.strong_pipeline}},
                ),
            ),
            target=dict(
                views=dict(target_weak={{_base_.weak_pipeline}}, target_strong={{_base_.strong_pipeline}}),
                dataset=dict(
                    type={{_base_.dataset_type}},
                    data_root={{_base_.data_root}},
                    source={{_base_.source}},
                    target={{_base_.target}},
                    role='target',
                    fold={{_base_.fold}},
                    split='train',
                    min_parcels={{_base_.min_parcels}},
                ),
            ),
        ),
    ),
)
