"""Base of methods that learn from a teacher's pseudo labels: the teacher sees the target's weak view, the student its
strong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dist import all_reduce, get_world_size
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..segmentors import TemporalEncoderDecoder
from .balanced_thresholds import BalancedThresholds
from .base import IGNORED, AdaptationMethod, Losses, source_losses, split_outputs
from .class_shares import checked_shares
from .views import Batch, Inputs, join_inputs, select_samples


class PseudoLabels(NamedTuple):
    """A teacher's predictions of a batch.

    Attributes:
        predicted: (N, H, W) int64, the most probable class.
        confidence: (N, H, W), its probability.
        kept: (N, H, W) bool, whether it is learned from.
    """

    predicted: Tensor
    confidence: Tensor
    kept: Tensor

    def targets(self) -> Tensor:
        """Labels (N, 1, H, W) to train on, 255 where not kept."""
        return self.predicted.masked_fill(~self.kept, IGNORED).unsqueeze(1)


def pseudo_labels(probabilities: Tensor, threshold: float | Tensor, observed: Tensor | None = None) -> PseudoLabels:
    """Predictions whose probability exceeds a threshold (and does not only reach it).

    Args:
        probabilities: (N, K, H, W).
        threshold: of the probability, one for all classes or one per class (K,).
        observed: (N, H, W), pixels with at least one valid date; the others are never kept.
    """
    confidence, predicted = probabilities.max(1)
    kept = confidence > (threshold[predicted] if isinstance(threshold, Tensor) else threshold)
    return PseudoLabels(predicted, confidence, kept if observed is None else kept & observed)


class SelfTraining(AdaptationMethod):
    """A supervised loss on the source plus the same loss on confident pseudo labels of the target.

    Target samples without any kept pixel are left out of the student's pass, so batch norms do not see them.

    Args:
        threshold: probability that a pseudo label must exceed.
        trade_off: weight of the target's loss.
        separate_batch_norm: pass source and target one after the other, so that each is normalised with its own
            statistics (the running ones and the weights are shared); else one pass of both.
        balance: None keeps every pseudo label above `threshold`. Else as many are kept, but dealt out to the classes by
            their shares in the target, see `BalancedThresholds`: 'estimated' takes the shares that the method knows
            (`expected_shares`), a sequence gives them, (K,).
        lowest_threshold: with `balance`, the lowest threshold that a class may get.
        **kwargs: see `AdaptationMethod`.

    Attributes:
        predicted_counts, kept_counts: (K,) int64 buffers: how often each class was predicted for observed target
            pixels, and kept, since training began, over all processes.
    """

    views = ('source', 'target_weak', 'target_strong')
    uses_teacher = True
    predicted_counts: Tensor
    kept_counts: Tensor

    def __init__(
        self,
        threshold: float = 0.9,
        trade_off: float = 2.0,
        separate_batch_norm: bool = True,
        balance: str | Sequence[float] | None = None,
        lowest_threshold: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(trade_off=trade_off, **kwargs)
        if not 0 <= threshold < 1:
            raise ValueError(f'{type(self).__name__}: threshold={threshold}, expected a probability below 1')
        self.threshold = threshold
        self.separate_batch_norm = separate_batch_norm
        for name in ('predicted_counts', 'kept_counts'):
            self.register_buffer(name, torch.zeros(self.num_classes, dtype=torch.int64))
        self.balanced: BalancedThresholds | None = None
        self.given_shares: Tensor | None = None
        if balance is not None:
            self.balanced = BalancedThresholds(self.num_classes, threshold, lowest_threshold)
            self.given_shares = self._shares_of(balance)

    def _shares_of(self, balance: str | Sequence[float]) -> Tensor | None:
        if isinstance(balance, str):
            if balance != 'estimated':
                raise ValueError(f"{type(self).__name__}: balance={balance!r}, expected None, 'estimated' or shares")
            return None
        return checked_shares(balance, self.num_classes, f'{type(self).__name__}: balance')

    def expected_shares(self) -> Tensor | None:
        """Estimated shares of the classes in the target, (K,) with sum 1, or None: here those of all predictions so
        far, confident or not."""
        total = self.predicted_counts.sum()
        return self.predicted_counts.double() / total if total else None

    def source_inputs(self, inputs: Inputs) -> Inputs:
        """The source as the student sees it."""
        return inputs

    def weak_inputs(self, inputs: Inputs) -> Inputs:
        """The target as the teacher sees it."""
        return inputs

    def loss(
        self, segmentor: TemporalEncoderDecoder, views: Mapping[str, Batch], teacher: TemporalEncoderDecoder | None
    ) -> Losses:
        """See `AdaptationMethod.loss`."""
        assert teacher is not None
        source, weak, strong = (views[name] for name in self.views)
        answer = teacher.predict(self.weak_inputs(weak['inputs']))[0]
        labels = self._label(answer['logits'].float().softmax(1), answer['observed'])
        self._check_size(labels, segmentor.output_size(strong['inputs']))
        kept = labels.kept.flatten(1).any(1)  # N
        shares = self._count(labels, answer['observed'])
        if not self._enough(kept, labels, segmentor):
            kept = torch.zeros_like(kept)
        source_inputs = self.source_inputs(source['inputs'])
        target_inputs = select_samples(strong['inputs'], kept) if bool(kept.any()) else None
        run = self._separately if self.separate_batch_norm else self._jointly
        losses = run(segmentor, source_inputs, source, target_inputs, labels.targets()[kept])
        return {**losses, **shares}

    def _label(self, probabilities: Tensor, observed: Tensor) -> PseudoLabels:
        """Pseudo labels by the common threshold, or by those that the steps before this one gave each class."""
        if self.balanced is None:
            return pseudo_labels(probabilities, self.threshold, observed)
        shares = self.expected_shares() if self.given_shares is None else self.given_shares
        own = None if shares is None else self.balanced.thresholds(shares)
        labels = pseudo_labels(probabilities, self.threshold if own is None else own.to(probabilities), observed)
        if self.training:
            self.balanced.update(labels.predicted[observed], labels.confidence[observed])
        return labels

    def _separately(
        self,
        segmentor: TemporalEncoderDecoder,
        source_inputs: Inputs,
        source: Batch,
        target: Inputs | None,
        labels: Tensor,
    ) -> Losses:
        losses = source_losses(segmentor, segmentor.run_heads(segmentor.extract_feat(source_inputs)), source)
        if target is not None:
            outputs = segmentor.run_heads(segmentor.extract_feat(target))
            losses.update(self._target_losses(segmentor, outputs, labels))
        return losses

    def _jointly(
        self,
        segmentor: TemporalEncoderDecoder,
        source_inputs: Inputs,
        source: Batch,
        target: Inputs | None,
        labels: Tensor,
    ) -> Losses:
        inputs = source_inputs if target is None else join_inputs(source_inputs, target)
        count = len(next(iter(source_inputs.values())).values)
        ours, theirs = split_outputs(segmentor.run_heads(segmentor.extract_feat(inputs)), count)
        losses = source_losses(segmentor, ours, source)
        if target is not None:
            losses.update(self._target_losses(segmentor, theirs, labels))
        return losses

    def _target_losses(self, segmentor: TemporalEncoderDecoder, outputs: dict[str, Any], labels: Tensor) -> Losses:
        losses = add_prefix(segmentor.losses_of(outputs, labels), 'target')
        return {name: self.trade_off * value if 'loss' in name else value for name, value in losses.items()}

    def _enough(self, kept: Tensor, labels: PseudoLabels, segmentor: nn.Module) -> bool:
        """Whether there is something to normalise: a batch norm needs two values per channel."""
        single = tuple(labels.kept.shape[-2:]) == (1, 1)
        enough = bool(kept.sum() >= (2 if self.separate_batch_norm and single else 1))
        synchronised = any(isinstance(module, nn.SyncBatchNorm) for module in segmentor.modules())
        if synchronised and get_world_size() > 1:
            # All processes must take part in a synchronised norm, or none.
            flag = torch.tensor(float(enough), device=kept.device)
            all_reduce(flag, op='min')
            enough = bool(flag)
        return enough

    @torch.no_grad()
    def _count(self, labels: PseudoLabels, observed: Tensor) -> Losses:
        counts = torch.stack(
            [
                torch.bincount(labels.predicted[chosen].flatten(), minlength=self.num_classes)
                for chosen in (observed, labels.kept)
            ]
        )
        # Summed at once, so that every process has the same buffers and the first one's checkpoint holds them all.
        all_reduce(counts)
        if self.training:
            self.predicted_counts.copy_(self.predicted_counts + counts[0])
            self.kept_counts.copy_(self.kept_counts + counts[1])
        return {'kept_share': counts[1].sum() / counts[0].sum().clamp(min=1)}

    def _check_size(self, labels: PseudoLabels, size: tuple[int, int]) -> None:
        if tuple(labels.predicted.shape[-2:]) != tuple(size):
            raise ValueError(
                f'{type(self).__name__}: the weak view gives labels of {tuple(labels.predicted.shape[-2:])} pixels, '
                f'the strong view is {tuple(size)}: pseudo labels need both views cut and flipped alike; let their '
                'pipelines differ in dates and values only'
            )
