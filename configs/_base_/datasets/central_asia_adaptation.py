# The fields of central_asia.py: batches of Samarkand with labels, all classes equally likely, and of Fergana without.
_base_ = ['./central_asia.py']

train_dataloader = dict(
    batch_size=64,
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
                    table={{_base_._table}},
                    sensor='ndvi',
                    code_list='central-asia-ndvi',
                    where=dict(region='Samarkand'),
                    pipeline={{_base_._strong_pipeline}},
                ),
            ),
            target=dict(
                views=dict(target_weak={{_base_._weak_pipeline}}, target_strong={{_base_._strong_pipeline}}),
                dataset=dict(
                    type={{_base_.dataset_type}},
                    data_root={{_base_.data_root}},
                    table={{_base_._table}},
                    sensor='ndvi',
                    code_list='central-asia-ndvi',
                    where=dict(region='Fergana'),
                ),
            ),
        ),
    ),
)
