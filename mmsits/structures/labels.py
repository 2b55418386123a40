"""Label values that are no class."""

NOT_THIS_CROP = 128
"""Label 128 + k: not crop k, and nothing else is known. Only heads that ask for each crop by itself can be trained on
it; 255, which is ignored, leaves room for 127 crops."""
