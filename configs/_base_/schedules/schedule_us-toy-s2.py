# As schedule_sitsmoco.py: 100 passes over 182 series in batches of 32.
_base_ = './schedule_sitsmoco.py'
train_cfg = dict(max_iters=570, val_interval=570)
