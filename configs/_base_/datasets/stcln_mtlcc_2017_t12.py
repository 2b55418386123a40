# STCLN's protocol on MTLCC of 2017 with 12 dates: 78 tiles (2 % of the labels) to train, 78 to choose the network by.
# Other shares: tiles='stcln_mtlcc_train_1%' … 5%.
_base_ = './mtlcc_2017_t12.py'

train_dataloader = dict(batch_size=2, dataset=dict(tiles='stcln_mtlcc_train_2%'))
val_dataloader = dict(dataset=dict(tiles='stcln_mtlcc_val_2%'))

# The published scores leave out pixels that are unknown, or predicted as such.
val_evaluator = dict(average_over='reference_submatrix')
test_evaluator = dict(average_over='reference_submatrix')
