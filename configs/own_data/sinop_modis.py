# Land use of Sinop, Mato Grosso: learnt from a table of points (configs/series/recipe_sinop.py), mapped on rasters of
# the same sensor: docs/your_data.md has the command.
_base_ = '../series/recipe_sinop.py'
