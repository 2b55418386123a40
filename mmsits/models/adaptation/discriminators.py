"""Networks that tell domains apart, for the adversarial methods."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DomainDiscriminator(nn.Sequential):
    """Score of 'comes from the source' for each row: two hidden layers, as in DANN and CDAN.

    Args:
        in_channels: D of the rows.
        hidden: width of the hidden layers.
        batch_norm: batch norm in the hidden layers; without it dropout of 0.5 behind each.

    Shapes: (n, D) -> (n,), the logit (a sigmoid of it is the probability).
    """

    def __init__(self, in_channels: int, hidden: int = 1024, batch_norm: bool = True) -> None:
        layers: list[nn.Module] = []
        for width in (in_channels, hidden):
            layers.append(nn.Linear(width, hidden))
            layers += [nn.BatchNorm1d(hidden), nn.ReLU()] if batch_norm else [nn.ReLU(), nn.Dropout(0.5)]
        super().__init__(*layers, nn.Linear(hidden, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """(n, D) -> (n,)."""
        return super().forward(rows).squeeze(1)


class ClassDiscriminator(nn.Module):
    """One score per class for each row, as in ALDA: two hidden layers with dropout, Xavier-normal weights, no bias at
    first.

    Args:
        in_channels: D of the rows.
        num_classes: K.
        hidden: width of the hidden layers.
        dropout: behind each hidden layer.

    Shapes: (n, D) -> (n, K).
    """

    def __init__(self, in_channels: int, num_classes: int, hidden: int = 1024, dropout: float = 0.5) -> None:
        super().__init__()
        self.layer1 = nn.Linear(in_channels, hidden)
        self.layer2 = nn.Linear(hidden, hidden)
        self.layer3 = nn.Linear(hidden, num_classes)
        self.dropout = dropout
        for layer in (self.layer1, self.layer2, self.layer3):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def dropout_masks(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What dropout keeps, (n, hidden) for each hidden layer, scaled; ones in evaluation mode.

        Two passes that get the same masks are one network.
        """
        shape = (len(rows), self.layer1.out_features)
        if not self.training or self.dropout == 0:
            return rows.new_ones(()), rows.new_ones(())
        keep = 1 - self.dropout
        return rows.new_empty(shape).bernoulli_(keep) / keep, rows.new_empty(shape).bernoulli_(keep) / keep

    def forward(self, rows: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(n, D) -> (n, K)."""
        first, second = self.dropout_masks(rows) if masks is None else masks
        hidden = torch.relu(self.layer1(rows)) * first
        hidden = torch.relu(self.layer2(hidden)) * second
        return self.layer3(hidden)
