# Masked pre-training of STCLN as released for PASTIS: single pixels are hidden on single dates, on those on which more
# than nine tenths of the patch are green, by the NDVI of normalised values.
_base_ = './stcln.py'
model = dict(
    _delete_=True,
    type='MaskedSeriesModel',
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.model.backbone}},
    mask=dict(ratio=0.4, over='dates_and_space', block_size=1),
    vegetation_gate=dict(red='B04', nir='B08', threshold=0.2, share=0.9, of_normalised_values=True),
)
