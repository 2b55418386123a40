# Upper bound: trained on Fergana's own fields outside its test blocks. Compare on these blocks only.
_base_ = ['./central_asia_source.py']
train_dataloader = dict(dataset=dict(where=dict(region='Fergana', split='train')))
