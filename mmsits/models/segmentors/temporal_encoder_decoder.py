"""`TemporalEncoderDecoder`: to image series what mmseg's `EncoderDecoder` is to images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor, nn

from mmsits.structures import ImageSeries, SampleMeta, pixels_exist

from .prediction_averaging import PredictionAveraging

Inputs = dict[str, ImageSeries]


class _Labels(NamedTuple):
    """The one attribute of mmseg's data sample that its heads read when they compute a loss."""

    gt_sem_seg: PixelData


@MODELS.register_module()
class TemporalEncoderDecoder(BaseSegmentor):
    """Segmentation of image time series: a temporal backbone, one of mmseg's decode heads, and auxiliary heads.

    Args:
        backbone: Config of a network that maps a dict of `ImageSeries` to a tuple of feature maps (N, C, H, W), highest
            resolution first.
        decode_head: Config of any of mmseg's decode heads (with BatchNorm, a map of 1×1 needs batches of two or more).
        neck: Config of an mmseg neck between the two.
        auxiliary_head: Config, or list of configs, of further heads that only help to train.
        train_cfg: Kept for mmseg's tools; unused.
        test_cfg: `dict(mode='whole')`, or `dict(mode='slide', crop_size=(h, w), stride=(h, w))`: windows of `crop_size`
            pixels every `stride` pixels; where they overlap their scores are blended with weights that fall off towards
            the window's edges, or all count the same with `overlap='mean'` (mmseg's way; the default is 'tapered').
            With `test_time=dict(flips=True, rotations=True, date_dropout=dict(share=0.2, repeats=4),
            checkpoints=[…])`, or some of it, the probabilities of several versions of the input and of several networks
            are averaged: see `PredictionAveraging`.
        data_preprocessor: Config of `SeriesDataPreprocessor`.
        pretrained: Kept for mmseg's tools; must be None (weights come with `load_from`).
        init_cfg: As in mmengine.

    Raises:
        ValueError: If a config names a mode, window or input that cannot work.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decode_head: dict[str, Any],
        neck: dict[str, Any] | None = None,
        auxiliary_head: dict[str, Any] | list[dict[str, Any]] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if pretrained is not None:
            raise ValueError('`pretrained` is not used here: give the weights as `load_from`.')
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.decode_head = MODELS.build(decode_head)
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels
        if auxiliary_head is not None:
            heads = auxiliary_head if isinstance(auxiliary_head, list) else [auxiliary_head]
            self.auxiliary_head = nn.ModuleList(MODELS.build(head) for head in heads)
        self.train_cfg = train_cfg
        self.test_cfg = _checked_test_cfg(test_cfg)
        self.averaging = self._averaging(self.test_cfg.get('test_time'))

    def forward(
        self,
        inputs: Inputs,
        targets: Tensor | None = None,
        metas: Sequence[SampleMeta] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the network.

        Args:
            inputs: sensor -> ImageSeries, batched and normalised (see `SeriesDataPreprocessor`).
            targets: Labels (N, 1, H, W) int64, 255 where ignored.
            metas: One per sample.
            mode: 'loss' (dict of losses), 'predict' (see `predict`) or 'tensor' (logits).

        Returns:
            Depends on the mode.

        Raises:
            ValueError: If the mode is unknown, or labels are missing in mode 'loss'.
        """
        if mode == 'loss':
            if targets is None:
                raise ValueError('Training needs labels, but the batch has no `targets`.')
            return self.loss(inputs, targets)
        if mode == 'predict':
            return self.predict(inputs, targets, metas)
        if mode == 'tensor':
            return self._forward(inputs)
        raise ValueError(f"mode={mode!r}: expected 'loss', 'predict' or 'tensor'.")

    def extract_feat(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """Feature maps of the backbone (and neck), highest resolution first."""
        check_patch_size(self.backbone, inputs)
        features = self.backbone(inputs)
        return self.neck(features) if self.with_neck else features

    def encode_decode(self, inputs: Inputs, *_: Any) -> Tensor:
        """Class scores (N, K, H, W) of whole inputs, at the size of the label map."""
        logits = first_output(self.decode_head(self.extract_feat(inputs)))
        size = self.output_size(inputs)
        if logits.shape[-2:] == size:
            return logits
        return resize(logits, size=size, mode='bilinear', align_corners=self.align_corners)

    def loss(self, inputs: Inputs, targets: Tensor) -> dict[str, Tensor]:
        """Losses of the decode head (`decode.…`) and the auxiliary heads (`aux_0.…`)."""
        return self.losses_of(self.run_heads(self.extract_feat(inputs)), targets)

    def run_heads(self, features: tuple[Tensor, ...]) -> dict[str, Any]:
        """What each head makes of the feature maps, as its loss wants it: 'decode', 'aux_0' …"""
        return {name: head(features) for name, head in self._heads().items()}

    def losses_of(self, outputs: dict[str, Any], targets: Tensor) -> dict[str, Tensor]:
        """Losses of what `run_heads` returned, or of some of its samples.

        Args:
            outputs: 'decode' and, with auxiliary heads, 'aux_0' …
            targets: Labels (N, 1, H, W) int64, 255 where ignored.

        Raises:
            ValueError: If samples have one label each, but the network answers with maps.
        """
        self._refuse_maps_for_single_labels(outputs['decode'], targets)
        labels = [_Labels(PixelData(data=target)) for target in targets]
        losses: dict[str, Tensor] = {}
        for name, head in self._heads().items():
            losses.update(add_prefix(head.loss_by_feat(outputs[name], labels), name))
        return losses

    def _refuse_maps_for_single_labels(self, output: Any, targets: Tensor) -> None:
        # mmseg would scale the map to the label's size: of a parcel's pixels, those in the middle alone would learn.
        found = tuple(first_output(output).shape[-2:])
        if tuple(targets.shape[-2:]) == (1, 1) and found != (1, 1):
            raise ValueError(
                f'each sample has one label, but {type(self.backbone).__name__} gives maps of {found[0]}×{found[1]} '
                'pixels: use PixelSetBackbone for parcels, or single pixels as samples.'
            )

    def _heads(self) -> dict[str, BaseDecodeHead]:
        auxiliary = self.auxiliary_head if self.with_auxiliary_head else ()
        return {'decode': self.decode_head, **{f'aux_{i}': head for i, head in enumerate(auxiliary)}}

    @torch.no_grad()
    def predict(
        self, inputs: Inputs, targets: Tensor | None = None, metas: Sequence[SampleMeta] | None = None
    ) -> list[dict[str, Any]]:
        """Predict a batch.

        Returns:
            A list with one dict for the whole batch: `logits` (N, K, H, W), `prediction` (N, H, W) int64, `targets`
            (N, H, W) or None, `observed` (N, H, W) bool, True where a pixel has at least one valid date, and `metas`.
            `mmsits.structures.to_data_samples` splits it into mmseg's data samples.
        """
        logits = self.inference(inputs, metas)
        size = logits.shape[-2:]
        return [
            {
                'logits': logits,
                'prediction': self._classes(logits),
                'targets': None if targets is None else targets.squeeze(1),
                'observed': observed_pixels(inputs, size),
                'metas': [SampleMeta() for _ in logits] if metas is None else metas,
            }
        ]

    def inference(self, inputs: Inputs, metas: Sequence[SampleMeta] | None = None) -> Tensor:
        """Class scores (N, K, H, W), whole or by sliding windows, of one version or averaged, as `test_cfg` says."""
        if self.averaging is None:
            return self.infer_once(inputs)
        return self.averaging.scores(self, inputs, metas, _infer_once)

    def infer_once(self, inputs: Inputs) -> Tensor:
        """Class scores (N, K, H, W) of the inputs as they are, whole or by sliding windows."""
        if self.test_cfg['mode'] == 'slide':
            return self.slide_inference(inputs)
        return self.encode_decode(inputs)

    def slide_inference(self, inputs: Inputs) -> Tensor:
        """Class scores (N, K, H, W) from overlapping windows, blended.

        A window's weight falls linearly from its centre to its edges, where a network sees least context (or is the
        same everywhere, as `test_cfg` says); the weights are divided by their sum, so a field that all windows agree on
        stays as it is. Sensors of 1×1 pixel (weather, say) are handed to every window.

        Raises:
            ValueError: If sensors differ in height and width.
        """
        height, width = _map_size(inputs)
        _check_same_grid(inputs, (height, width))
        crop = (min(self.test_cfg['crop_size'][0], height), min(self.test_cfg['crop_size'][1], width))
        first = next(iter(inputs.values())).values
        total = first.new_zeros(first.shape[0], self.out_channels, height, width)
        weights = first.new_zeros(height, width)
        window = _WINDOW_WEIGHTS[self.test_cfg.get('overlap', 'tapered')](crop, first)
        for rows, columns in _windows((height, width), crop, self.test_cfg['stride']):
            logits = self.encode_decode(_cut(inputs, rows, columns))
            total[..., rows, columns] += logits * window
            weights[rows, columns] += window
        return total / weights

    def _averaging(self, test_time: dict[str, Any] | None) -> PredictionAveraging | None:
        if not test_time:
            return None
        try:
            averaging = PredictionAveraging(**test_time)
        except TypeError as error:
            raise ValueError(f'test_cfg: test_time={dict(test_time)}: {error}') from error
        if averaging.moves_pixels and getattr(self.backbone, 'pools_space', False):
            raise ValueError(
                f'test_cfg: flips and rotations are for patches; {type(self.backbone).__name__} takes the pixels of a '
                'parcel, which have no order. Leave them out of test_time.'
            )
        return averaging

    def _forward(self, inputs: Inputs, *_: Any) -> Tensor:
        return self.encode_decode(inputs)

    def _classes(self, logits: Tensor) -> Tensor:
        if self.out_channels > 1:
            return logits.argmax(1)
        threshold = self.decode_head.threshold
        return (logits.sigmoid() > (0.3 if threshold is None else threshold)).squeeze(1).long()

    def output_size(self, inputs: Inputs) -> tuple[int, int]:
        """Height and width of the label map that belongs to the inputs."""
        # A backbone that pools a parcel's pixels (S×1) gives one label.
        return (1, 1) if getattr(self.backbone, 'pools_space', False) else _map_size(inputs)


def check_patch_size(backbone: nn.Module, inputs: Inputs) -> None:
    """Refuse patches that are too small for a backbone.

    Raises:
        ValueError: Says which size it takes.
    """
    smallest = int(getattr(backbone, 'min_size', 1))
    height, width = _map_size(inputs)
    if min(height, width) < smallest:
        raise ValueError(
            f'{type(backbone).__name__} takes patches of at least {smallest}×{smallest} pixels; the batch is '
            f'{height}×{width}. Use PixelwiseBackbone for parcels and single pixels.'
        )


def _infer_once(network: Any, inputs: Inputs) -> Tensor:
    return network.infer_once(inputs)


def _checked_test_cfg(test_cfg: dict[str, Any] | None) -> dict[str, Any]:
    cfg = dict(test_cfg or {'mode': 'whole'})
    mode = cfg.get('mode')
    known = cfg.keys() <= {'mode', 'crop_size', 'stride', 'overlap', 'test_time'}
    if mode == 'whole' and known:
        return cfg
    known = known and cfg.get('overlap', 'tapered') in _WINDOW_WEIGHTS
    if mode != 'slide' or not known or not all(_is_pair(cfg.get(key)) for key in ('crop_size', 'stride')):
        raise ValueError(
            f"test_cfg={cfg}: expected mode='whole', or mode='slide' with crop_size=(h, w), stride=(h, w) and, if "
            f'wanted, overlap= one of {sorted(_WINDOW_WEIGHTS)}; in both cases test_time=dict(…) if wanted.'
        )
    for stride, crop in zip(cfg['stride'], cfg['crop_size'], strict=True):
        if not 0 < stride <= crop:
            raise ValueError(
                f'test_cfg: stride {cfg["stride"]} must be positive and at most crop_size {cfg["crop_size"]}.'
            )
    return cfg


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2


def _map_size(inputs: Inputs) -> tuple[int, int]:
    sizes = [tuple(series.values.shape[-2:]) for series in inputs.values()]
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def first_output(output: Any) -> Tensor:
    """The class scores among a head's outputs.

    Heads with more than one output (DAHead, EncHead) put first what predicts; their losses take all of it.
    """
    return output[0] if isinstance(output, tuple | list) else output


def observed_pixels(inputs: Inputs, size: Sequence[int]) -> Tensor:
    """Which pixels of a map were observed on at least one date by at least one sensor.

    Args:
        inputs: sensor -> ImageSeries, batched.
        size: Height and width of the map; where it is 1×1, one pixel of a parcel is enough.

    Returns:
        (N, H, W) bool.
    """
    observed = torch.zeros((), dtype=torch.bool, device=next(iter(inputs.values())).valid.device)
    for series in inputs.values():
        seen = pixels_exist(series.valid)
        if tuple(size) == (1, 1):
            seen = seen.flatten(1).any(1)[:, None, None]
        elif tuple(seen.shape[-2:]) not in ((1, 1), tuple(size)):
            seen = F.interpolate(seen[:, None].float(), size=tuple(size), mode='nearest')[:, 0].bool()
        observed = observed | seen
    return observed.expand(-1, *size)


def _check_same_grid(inputs: Inputs, size: tuple[int, int]) -> None:
    for sensor, series in inputs.items():
        if tuple(series.values.shape[-2:]) not in ((1, 1), size):
            raise ValueError(
                f'Sliding windows need all sensors on one grid of {size[0]}×{size[1]} pixels, but {sensor!r} has '
                f'{series.values.shape[-2]}×{series.values.shape[-1]}: resample it when loading.'
            )


def _cut(inputs: Inputs, rows: slice, columns: slice) -> Inputs:
    def window(tensor: Tensor) -> Tensor:
        return tensor if tensor.shape[-2:] == (1, 1) else tensor[..., rows, columns]

    return {
        sensor: ImageSeries(window(series.values), series.days, window(series.valid))
        for sensor, series in inputs.items()
    }


def _windows(size: tuple[int, int], crop: tuple[int, int], stride: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for top in _starts(size[0], crop[0], stride[0]):
        for left in _starts(size[1], crop[1], stride[1]):
            yield slice(top, top + crop[0]), slice(left, left + crop[1])


def _starts(length: int, crop: int, stride: int) -> list[int]:
    starts = list(range(0, length - crop, stride))
    # The last window ends at the border instead of reaching over it.
    return [*starts, length - crop]


def _falloff(length: int, like: Tensor) -> Tensor:
    ramp = torch.arange(1, length + 1, device=like.device, dtype=like.dtype)
    return torch.minimum(ramp, ramp.flip(0)) / ((length + 1) // 2)


def _tapered(crop: tuple[int, int], like: Tensor) -> Tensor:
    return _falloff(crop[0], like)[:, None] * _falloff(crop[1], like)[None, :]


def _equal(crop: tuple[int, int], like: Tensor) -> Tensor:
    return like.new_ones(crop)


_WINDOW_WEIGHTS = {'tapered': _tapered, 'mean': _equal}
"""Weights (h, w) of a window's pixels where windows overlap."""
