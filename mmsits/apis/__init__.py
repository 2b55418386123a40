"""Use trained models from Python."""

from .inference import init_model, predict_sample

__all__ = ['init_model', 'predict_sample']
