# As schedule_sitsmoco.py, for simulated pixels.
_base_ = './schedule_sitsmoco.py'
train_cfg = dict(max_iters=300, val_interval=50)
