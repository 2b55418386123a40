# As central_asia_mmd.py with the three classes that have at least 50 fields in both regions.
_base_ = 'central_asia_mmd.py'
_classes = ('cotton', 'wheat', 'wheat-other')
train_dataloader = dict(
    dataset=dict(
        domains=dict(
            source=dict(dataset=dict(classes=_classes)),
            target=dict(dataset=dict(classes=_classes)),
        )
    )
)
test_dataloader = dict(dataset=dict(classes=_classes))
model = dict(segmentor=dict(decode_head=dict(num_classes=3)))
load_from = 'work_dirs/central_asia_three_source/iter_600.pth'
