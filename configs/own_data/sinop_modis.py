# Land use of Sinop, Mato Grosso: learnt from the table of points (configs/series/recipe_sinop.py), mapped on the rasters
# of the same sensor: tools/predict.py … --sensor series=FOLDER. docs/your_data.md.
_base_ = '../series/recipe_sinop.py'
