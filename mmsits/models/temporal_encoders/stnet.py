"""STNet (Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005): a Transformer that sums dates by greenness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .post_norm_transformer import PostNormTransformer


@MODELS.register_module()
class STNet(PostNormTransformer):
    """As `PostNormTransformer`, but clear and green dates count more than others when dates are summed.

    Its parameters are those of `PostNormTransformer`, so weights pre-trained with one serve the other. In training the
    weights of dates pass a dropout, too.

    Args:
        weighting: config of a layer from values (N, T, C) and validity (N, T) to weights (N, T); default
            `dict(type='GreennessWeights')`.
        **kwargs: see `PostNormTransformer`.
    """

    def __init__(
        self, in_channels: int = 10, *, weighting: Mapping[str, Any] | None = None, dropout: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, dropout=dropout, **kwargs)
        self.weighting = MODELS.build(dict(dict(type='GreennessWeights', in_channels=in_channels), **(weighting or {})))

    def weigh_dates(self, x: Tensor, valid: Tensor) -> Tensor:
        """See `PostNormTransformer`."""
        # Zero where not valid, as what stands there may be no number.
        return self.drop_weights(self.weighting(x.masked_fill(~valid.unsqueeze(-1), 0.0), valid))

    def drop_weights(self, weights: Tensor) -> Tensor:
        """Dropout of the weights of dates (N, T), in training."""
        return F.dropout(weights, self.dropout.p, self.training)
