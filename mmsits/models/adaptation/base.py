"""What the adaptation methods have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.utils import add_prefix
from torch import Tensor

from ..segmentors import TemporalEncoderDecoder, first_output, observed_pixels
from .views import Batch, Inputs, join_inputs

Losses = dict[str, Tensor]
IGNORED = 255


class AdaptationMethod(BaseModule, metaclass=ABCMeta):
    """One way of training a segmentor on a labelled source and an unlabelled target.

    What it learns (discriminators) are its parameters; what it counts and estimates are its buffers, so that a
    checkpoint holds all of it.

    Attributes:
        views: names of the batches that a training step needs.
        uses_teacher: whether `loss` wants a teacher.

    Args:
        num_classes: K, from the segmentor unless given.
        feature_channels: D of the feature map `feature_index`, from the segmentor unless given.
        feature_index: which of the feature maps in front of the decode head is aligned, 0 for the highest resolution.
        trade_off: weight of the adaptation loss. 0 is the control: everything else stays the same.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if there are fewer than two classes, or the weight is negative.
    """

    views: Sequence[str] = ('source', 'target_strong')
    uses_teacher = False

    def __init__(
        self,
        num_classes: int,
        feature_channels: int | None = None,
        feature_index: int = 0,
        trade_off: float = 1.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 2:
            raise ValueError(f'{type(self).__name__} needs a head with two class scores at least, got {num_classes}')
        if trade_off < 0:
            raise ValueError(f'{type(self).__name__}: trade_off={trade_off}, expected 0 (the control) or more')
        self.num_classes = num_classes
        self.feature_channels = feature_channels
        self.feature_index = feature_index
        self.trade_off = trade_off

    @abstractmethod
    def loss(
        self, segmentor: TemporalEncoderDecoder, views: Mapping[str, Batch], teacher: TemporalEncoderDecoder | None
    ) -> Losses:
        """Losses of one training step.

        Args:
            segmentor: the network that is trained.
            views: the batches named in `views`, as the data preprocessor returns them.
            teacher: if `uses_teacher`.

        Returns:
            Names with 'loss' in them are summed and minimised, others only logged.
        """

    def needed_channels(self) -> int:
        """`feature_channels`.

        Raises:
            ValueError: if it is not known.
        """
        if self.feature_channels is None:
            raise ValueError(
                f'{type(self).__name__} needs the number of channels of the feature map that it aligns: set '
                'feature_channels in model.method'
            )
        return self.feature_channels


def source_losses(segmentor: TemporalEncoderDecoder, outputs: dict[str, Any], batch: Batch) -> Losses:
    """Supervised losses of the source, 'source.decode.…'.

    Raises:
        ValueError: if the source has no labels.
    """
    if batch.get('targets') is None:
        raise ValueError('the source domain has no labels (`targets`): adaptation learns its classes from them')
    return add_prefix(segmentor.losses_of(outputs, batch['targets']), 'source')


def split_outputs(outputs: dict[str, Any], count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The heads' outputs of a joint batch: those of the first `count` samples, and the rest."""

    def part(output: Any, rows: slice) -> Any:
        if isinstance(output, tuple | list):
            return type(output)(part(item, rows) for item in output)
        return output[rows]

    first, rest = slice(count), slice(count, None)
    return {k: part(v, first) for k, v in outputs.items()}, {k: part(v, rest) for k, v in outputs.items()}


class DomainRows(NamedTuple):
    """What is known of one domain's pixels or parcels in a step, a row each.

    Attributes:
        features: (n, D) float32.
        logits: (n, K) float32.
        labels: (n,) int64 for the source, None for the target.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None = None


class FeatureAlignment(AdaptationMethod):
    """Base of methods that add a loss between features of the source and of the target.

    On parcels a row is a parcel. On patches it is a pixel of the feature map, and `max_rows` of those that were
    observed are drawn per domain.

    Attributes:
        joint_forward: one pass of both domains with common statistics in batch norms, or one after the other.
        equal_rows: whether the loss needs as many rows of one domain as of the other.
        source_labels_needed: whether source rows without a label must be left out.

    Args:
        max_rows: at most so many rows per domain; more are drawn at random.
        **kwargs: see `AdaptationMethod`.
    """

    joint_forward = True
    equal_rows = False
    source_labels_needed = False

    def __init__(self, max_rows: int = 512, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_rows < 2:
            raise ValueError(f'{type(self).__name__}: max_rows={max_rows}, expected two at least')
        self.max_rows = max_rows

    @abstractmethod
    def alignment(self, source: DomainRows, target: DomainRows) -> Losses:
        """The loss between the domains, in float32: 'loss_transfer' and what else is worth logging."""

    def loss(
        self,
        segmentor: TemporalEncoderDecoder,
        views: Mapping[str, Batch],
        teacher: TemporalEncoderDecoder | None = None,
    ) -> Losses:
        """See `AdaptationMethod.loss`."""
        source, target = views['source'], views['target_strong']
        run = self._run_jointly if self.joint_forward else self._run_separately
        (source_map, source_outputs), (target_map, target_outputs) = run(segmentor, source['inputs'], target['inputs'])
        losses = source_losses(segmentor, source_outputs, source)
        rows = self._rows(source_map, source_outputs['decode'], source['inputs'], source['targets'])
        target_rows = self._rows(target_map, target_outputs['decode'], target['inputs'], None)
        if self.equal_rows:
            count = min(len(rows.features), len(target_rows.features))
            rows, target_rows = _first(rows, count), _first(target_rows, count)
        if min(len(rows.features), len(target_rows.features)) < 2:
            # Nothing labelled in a small patch, say; the loss stays part of the graph for distributed training.
            return {**losses, 'loss_transfer': 0.0 * (source_map.sum() + target_map.sum()) + self._unused()}
        with torch.autocast(source_map.device.type, enabled=False):
            return {**losses, **self.alignment(rows, target_rows)}

    def _unused(self) -> Tensor | float:
        return sum((0.0 * parameter.sum() for parameter in self.parameters()), 0.0)

    def _run_jointly(self, segmentor: TemporalEncoderDecoder, source: Inputs, target: Inputs) -> Any:
        count = len(next(iter(source.values())).values)
        maps = segmentor.extract_feat(join_inputs(source, target))
        outputs = split_outputs(segmentor.run_heads(maps), count)
        chosen = maps[self.feature_index]
        return (chosen[:count], outputs[0]), (chosen[count:], outputs[1])

    def _run_separately(self, segmentor: TemporalEncoderDecoder, source: Inputs, target: Inputs) -> Any:
        def run(inputs: Inputs) -> tuple[Tensor, dict[str, Any]]:
            maps = segmentor.extract_feat(inputs)
            return maps[self.feature_index], segmentor.run_heads(maps)

        return run(source), run(target)

    def _rows(self, features: Tensor, output: Any, inputs: Inputs, targets: Tensor | None) -> DomainRows:
        """Rows of the feature map (N, D, H, W); scores and labels are brought to its size."""
        logits = first_output(output)
        size = features.shape[-2:]
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size, mode='bilinear', align_corners=False)
        labels = None if targets is None else _at_size(targets, size)
        flat = [part.movedim(1, -1).flatten(0, 2).float() for part in (features, logits)]
        chosen = self._choose(inputs, labels, size, len(flat[0]), features.device)
        if chosen is None:
            return DomainRows(flat[0], flat[1], None if labels is None else labels.flatten())
        return DomainRows(flat[0][chosen], flat[1][chosen], None if labels is None else labels.flatten()[chosen])

    def _choose(
        self, inputs: Inputs, labels: Tensor | None, size: torch.Size, total: int, device: torch.device
    ) -> Tensor | None:
        """Indices of the rows that take part, None for all of them."""
        usable = None if tuple(size) == (1, 1) else observed_pixels(inputs, size).flatten()
        if labels is not None and self.source_labels_needed:
            labelled = labels.flatten() != IGNORED
            usable = labelled if usable is None else usable & labelled
        if usable is None and total <= self.max_rows and not self.equal_rows:
            return None
        indices = torch.arange(total, device=device) if usable is None else usable.nonzero().squeeze(1)
        if len(indices) > self.max_rows:
            indices = indices[torch.randperm(len(indices), device=device)[: self.max_rows]]
        return indices


def _first(rows: DomainRows, count: int) -> DomainRows:
    return DomainRows(*(None if part is None else part[:count] for part in rows))  # type: ignore[arg-type]


def _at_size(targets: Tensor, size: torch.Size) -> Tensor:
    """Labels (N, 1, H, W) at another size, by the nearest pixel: (N, h, w)."""
    if targets.shape[-2:] == size:
        return targets.squeeze(1)
    return F.interpolate(targets.float(), size, mode='nearest').squeeze(1).long()
