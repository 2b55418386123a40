"""Group norm over time that looks at existing dates only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TemporalGroupNorm(nn.GroupNorm):
    """Group norm of series (N, T, C): statistics per series and channel group, over the group's channels and the
    existing dates.

    `torch.nn.GroupNorm` on (N, C, T) counts every date, padding too, so that a series' result depends on what it was
    batched with. This one doesn't. Parameters are the same.
    """

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise.

        Args:
            x: (N, T, C); values where not valid must be finite.
            valid: bool (N, T), or None to take the statistics over all T dates.

        Returns:
            (N, T, C); unspecified but finite where not valid.
        """
        # In half precision (AMP) the sums of a long series would lose most of their digits.
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        groups = precise.unflatten(-1, (self.num_groups, -1))  # N, T, G, C / G
        if valid is None:
            variance, mean = torch.var_mean(groups, dim=(1, 3), correction=0, keepdim=True)
        else:
            weight = valid[..., None, None].to(groups.dtype)
            count = (weight.sum(1, keepdim=True) * groups.shape[-1]).clamp(min=1)
            mean = (groups * weight).sum((1, 3), keepdim=True) / count
            variance = ((groups - mean).square() * weight).sum((1, 3), keepdim=True) / count
        normed = ((groups - mean) * torch.rsqrt(variance + self.eps)).flatten(2).to(x.dtype)
        return normed if self.weight is None else torch.addcmul(self.bias, normed, self.weight)
