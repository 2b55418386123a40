# L-TAE as SITS-MoCo compares with, on single pixels. Series are brought to 70 steps.
_base_ = './sitsmoco_transformer.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True, type='SITSMoCoLTAE', n_head=16, d_k=8, d_model=256, mlp=(128,), length=70, dropout=0.2
        )
    )
)
