# The batches of the methods that TimeMatch is compared with: source and target, shuffled, one view each.
_base_ = ['./timematch_adaptation.py']

train_dataloader = dict(
    dataset=dict(
        domains=dict(
            source=dict(order='shuffled'),
            target=dict(views=dict(_delete_=True, target_strong={{_base_.strong_pipeline}})),
        )
    )
)
