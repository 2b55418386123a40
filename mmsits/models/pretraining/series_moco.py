"""`SeriesMoCo`: momentum contrast of image time series (He et al., CVPR 2020, arXiv 1911.05722; v2: Chen et al., 2020,
arXiv 2003.04297; SITS-MoCo: Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, SampleMeta

from .features import Inputs, average_features, channels_of
from .gathering import common_permutation, gather_inputs, gather_rows, own_share

VIEWS = ('query', 'key')


@MODELS.register_module()
class SeriesMoCo(BaseModel):
    """Learn a backbone without labels: two views of a sample are to be alike, and unlike those of other samples.

    The query view passes the backbone and a projector; the key view passes copies of both, whose weights follow
    slowly (`momentum`). The other samples are the keys of earlier batches, kept in a queue. Any backbone of the library
    will do; a feature map is averaged over the pixels that were observed.

    A training batch holds two named views, `query` and `key`, of the same samples (`ContrastiveViews`). An ordinary
    batch gives features. Parameters: `backbone.…`, which `WeightTransferHook` hands on, `projector.…`, and those that
    follow, `key_backbone.…` and `key_projector.…`. `queue` and `queue_pointer` are in the checkpoint too.

    In distributed training the queue takes the keys of all processes and so stays the same in all of them; keys are
    computed on a batch shuffled across processes, lest a sample be told by its batch norm. (mmengine's
    `SyncBuffersHook` would average the queues: leave it out.)

    Args:
        backbone: config of a network from a dict of `ImageSeries` to feature maps.
        dim: length of the vectors that are compared.
        queue_size: keys in the queue, at least as many as a step makes in all processes together.
        momentum: share of the old key weights that is kept each step.
        temperature: that the similarities are divided by.
        mlp: a projector of two layers (v2) instead of one (v1).
        feature_index: which of the backbone's maps, 0 for the highest resolution.
        shuffle: keys on shuffled batches, in distributed training; not in evaluation.
        follow_in_evaluation: let key weights and queue go on in evaluation mode as well, as published.
        data_preprocessor: config of `SeriesDataPreprocessor`.
        init_cfg: mmengine's initialisation config.

    Attributes:
        latest: vectors (N, dim) of the last training step, of queries and of keys; for monitors.

    Raises:
        ValueError: for options that cannot work.
    """

    queue: Tensor
    queue_pointer: Tensor

    def __init__(
        self,
        backbone: dict[str, Any],
        dim: int = 128,
        queue_size: int = 65536,
        momentum: float = 0.999,
        temperature: float = 0.07,
        mlp: bool = True,
        feature_index: int = 0,
        shuffle: bool = True,
        follow_in_evaluation: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        if not 0 <= momentum <= 1 or temperature <= 0 or min(dim, queue_size) < 1:
            raise ValueError(
                'SeriesMoCo: momentum lies between 0 and 1, temperature above 0, dim and queue_size are 1 or more; got '
                f'momentum={momentum}, temperature={temperature}, dim={dim}, queue_size={queue_size}'
            )
        super().__init__(data_preprocessor, init_cfg)
        self.momentum, self.temperature = momentum, temperature
        self.feature_index, self.shuffle, self.follow_in_evaluation = feature_index, shuffle, follow_in_evaluation
        self.backbone = MODELS.build(backbone)
        self.projector = _projector(channels_of(self.backbone, feature_index), dim, mlp)
        self.key_backbone = copy.deepcopy(self.backbone).requires_grad_(False)
        self.key_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self.register_buffer('queue', F.normalize(torch.randn(dim, queue_size), dim=0))
        self.register_buffer('queue_pointer', torch.zeros(1, dtype=torch.int64))
        self.latest: tuple[Tensor, Tensor] | None = None

    def init_weights(self) -> None:
        """Initialise as the configs say; the key networks begin as copies."""
        super().init_weights()
        self.key_backbone.load_state_dict(self.backbone.state_dict())
        self.key_projector.load_state_dict(self.projector.state_dict())

    def forward(
        self,
        inputs: Inputs | None = None,
        targets: Tensor | None = None,
        metas: Sequence[SampleMeta] | None = None,
        mode: str = 'tensor',
        **views: Mapping[str, Any],
    ) -> Any:
        """Run a step on two views, or compute the features of an ordinary batch.

        Args:
            inputs: sensor -> series, batched and normalised, of an ordinary batch.
            targets: its labels; not used.
            metas: its meta information; not used.
            mode: 'loss' (of views: dict of losses), 'predict' (of views: a list with one dict of `loss`, `accuracy` and
                the number of samples `count`) or 'tensor' (of an ordinary batch: features (N, C')).
            **views: `query` and `key`, each a dict with `inputs`.

        Returns:
            Depends on the mode.

        Raises:
            ValueError: if views are missing, or the mode is unknown.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode={mode!r}: expected 'loss', 'predict' or 'tensor'.")
        if inputs is not None and mode != 'loss':
            return self.extract_features(inputs)
        missing = [name for name in VIEWS if name not in views]
        if missing:
            raise ValueError(
                f'SeriesMoCo learns from the views {" and ".join(VIEWS)}; the batch lacks {" and ".join(missing)} '
                f'(it has {", ".join(sorted(views)) or "an ordinary batch"}): train on ContrastiveViews'
            )
        query, key = (views[name]['inputs'] for name in VIEWS)
        if mode == 'loss':
            return self.loss(query, key)
        logits = self.contrast(query, key)
        loss = F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))
        return [dict(loss=float(loss), accuracy=_share_found(logits).item(), count=len(logits))]

    def extract_features(self, inputs: Inputs) -> Tensor:
        """Features (N, C') of the backbone, averaged over the pixels that were observed."""
        return average_features(self.backbone, inputs, self.feature_index)

    def loss(self, query: Inputs, key: Inputs) -> dict[str, Tensor]:
        """`loss_contrast`, and the share of queries whose own key is the most similar of all, `accuracy`."""
        logits = self.contrast(query, key)
        targets = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        return dict(loss_contrast=F.cross_entropy(logits, targets), accuracy=_share_found(logits))

    def contrast(self, query: Inputs, key: Inputs) -> Tensor:
        """Similarities of each query with its own key and with those in the queue, by temperature.

        In training the key networks move first, and the queue takes the keys afterwards.

        Args:
            query: sensor -> series.
            key: likewise, of the same samples.

        Returns:
            (N, 1 + queue_size) float32; the right answer is 0.
        """
        follows = self.training or self.follow_in_evaluation
        queries = self._project(self.projector, average_features(self.backbone, query, self.feature_index))
        with torch.no_grad():
            if follows:
                self.follow()
            keys = self._encode_keys(key)
        with torch.autocast(queries.device.type, enabled=False):
            own = (queries * keys).sum(1, keepdim=True)
            others = queries @ self.queue.clone()
            logits = torch.cat([own, others], 1) / self.temperature
        if follows:
            self.enqueue(gather_rows(keys))
        if self.training:
            self.latest = (queries.detach(), keys)
        return logits

    @torch.no_grad()
    def follow(self) -> None:
        """Move the key networks towards the query networks: parameters only, not the statistics of batch norms."""
        old = list(chain(self.key_backbone.parameters(), self.key_projector.parameters()))
        new = list(chain(self.backbone.parameters(), self.projector.parameters()))
        torch._foreach_mul_(old, self.momentum)
        torch._foreach_add_(old, new, alpha=1 - self.momentum)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put keys (N, dim) in the place of the oldest ones.

        Raises:
            ValueError: if there are more of them than places.
        """
        size = self.queue.shape[1]
        if len(keys) > size:
            raise ValueError(f'the queue of {size} keys cannot take the {len(keys)} of one step: enlarge queue_size')
        places = (self.queue_pointer + torch.arange(len(keys), device=keys.device)) % size
        self.queue[:, places] = keys.T.to(self.queue.dtype)
        self.queue_pointer.copy_((self.queue_pointer + len(keys)) % size)

    def _encode_keys(self, key: Inputs) -> Tensor:
        # In evaluation batch norms look at no other sample, and processes may have batches of different sizes.
        if get_world_size() == 1 or not self.shuffle or not self.training:
            return self._project(self.key_projector, average_features(self.key_backbone, key, self.feature_index))
        together = gather_inputs(key)
        count = len(next(iter(together.values())).days)
        order = common_permutation(count, self.queue.device)
        mine = own_share(order)
        share = {sensor: ImageSeries(*(part[mine] for part in series)) for sensor, series in together.items()}
        features = average_features(self.key_backbone, share, self.feature_index)
        keys = gather_rows(self._project(self.key_projector, features))
        return own_share(keys[order.argsort()])

    @staticmethod
    def _project(projector: nn.Module, features: Tensor) -> Tensor:
        return F.normalize(projector(features).float(), dim=1)


def _projector(width: int, dim: int, mlp: bool) -> nn.Sequential:
    if mlp:
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))
    return nn.Sequential(nn.Linear(width, dim))


@torch.no_grad()
def _share_found(logits: Tensor) -> Tensor:
    return (logits.argmax(1) == 0).float().mean()
