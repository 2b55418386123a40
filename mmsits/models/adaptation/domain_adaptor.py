"""`DomainAdaptor`: a segmentor, an adaptation method, and the teacher that some methods need."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import SampleMeta

from ..data_preprocessors.named_views_data_preprocessor import NamedViewsDataPreprocessor
from ..segmentors import TemporalEncoderDecoder
from .base import AdaptationMethod
from .mean_teacher import copy_student
from .views import Inputs, shift_days

PREDICTORS = ('student', 'teacher')


@MODELS.register_module()
class DomainAdaptor(BaseModel):
    """Trains a segmentor on a labelled source and an unlabelled target.

    A training batch holds named views, each an ordinary batch: `source`, `target_weak`, `target_strong`. Validation and
    test see ordinary batches, and the adaptor predicts as the segmentor does. Parameters: `segmentor.…`, and where the
    method has some of its own `method.…`; those of `teacher.…` are not trained.

    Args:
        segmentor: config of a `TemporalEncoderDecoder`, for parcels, patches or pixels.
        method: config of an `AdaptationMethod`. Number of classes and of feature channels come from the segmentor
            unless they are given.
        predict_with: 'student' or 'teacher'.
        shift_when_predicting: add the estimated shift to what is predicted, if the method estimates one. Useful with
            the teacher, which saw the target like this; the published evaluation does not.
        data_preprocessor: unused, the segmentor's serves; must be None.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if options contradict each other.
    """

    def __init__(
        self,
        segmentor: dict[str, Any],
        method: dict[str, Any],
        predict_with: str = 'student',
        shift_when_predicting: bool = False,
        data_preprocessor: None = None,
        init_cfg: Any = None,
    ) -> None:
        if data_preprocessor is not None:
            raise ValueError('DomainAdaptor: give data_preprocessor to the segmentor (model.segmentor), not here')
        network: TemporalEncoderDecoder = MODELS.build(segmentor)
        super().__init__(NamedViewsDataPreprocessor(network.data_preprocessor), init_cfg)
        self.segmentor = network
        self.method: AdaptationMethod = MODELS.build({**_known_of(network, method), **method})
        if self.method.uses_teacher:
            self.teacher: TemporalEncoderDecoder | None = _frozen_copy(network)
        else:
            self.teacher = None
        if predict_with not in PREDICTORS or (predict_with == 'teacher' and self.teacher is None):
            raise ValueError(
                f'predict_with={predict_with!r}: expected one of {PREDICTORS}, and {type(self.method).__name__} has '
                f'{"a" if self.teacher is not None else "no"} teacher'
            )
        self.predict_with = predict_with
        self.shift_when_predicting = shift_when_predicting

    @property
    def decode_head(self) -> nn.Module:
        """The segmentor's decode head, of which hooks ask the number of classes."""
        return self.segmentor.decode_head

    @property
    def predictor(self) -> TemporalEncoderDecoder:
        """The network that predicts."""
        return self.teacher if self.predict_with == 'teacher' and self.teacher is not None else self.segmentor

    def train(self, mode: bool = True) -> DomainAdaptor:
        """Switch to training or evaluation; the teacher always stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def reset_teacher(self) -> None:
        """Make the teacher equal to the student, as before training."""
        if self.teacher is not None:
            copy_student(self.teacher, self.segmentor)

    def forward(
        self,
        inputs: Inputs | None = None,
        targets: Tensor | None = None,
        metas: Sequence[SampleMeta] | None = None,
        mode: str = 'tensor',
        **views: Mapping[str, Any],
    ) -> Any:
        """Run a training step's losses on views, or predict an ordinary batch.

        Args:
            inputs: of an ordinary batch, as for `TemporalEncoderDecoder.forward`.
            targets: its labels.
            metas: its meta information.
            mode: 'loss', 'predict' or 'tensor'.
            **views: named views, each a dict of the three; for mode 'loss'.

        Returns:
            Depends on the mode.

        Raises:
            ValueError: if views are missing, or the mode is unknown.
        """
        if mode == 'loss':
            self._check_views(views)
            return self.method.loss(self.segmentor, views, self.teacher)
        if inputs is None:
            raise ValueError(f'mode={mode!r} takes one ordinary batch, but got the views {sorted(views)}')
        return self.predictor(self._shifted(inputs), targets, metas, mode)

    def encode_decode(self, inputs: Inputs) -> Tensor:
        """Class scores (N, K, H, W) of the network that predicts."""
        return self.predictor.encode_decode(self._shifted(inputs))

    def _shifted(self, inputs: Inputs) -> Inputs:
        shift = getattr(self.method, 'target_shift', None)
        return shift_days(inputs, shift) if self.shift_when_predicting and shift is not None else inputs

    def _check_views(self, views: Mapping[str, Any]) -> None:
        missing = [name for name in self.method.views if name not in views]
        if missing:
            raise ValueError(
                f'{type(self.method).__name__} trains on the views {", ".join(self.method.views)}; the batch lacks '
                f'{", ".join(missing)} (it has {", ".join(sorted(views)) or "an ordinary batch"}): let the training '
                'dataset join both domains and give these views'
            )


def _known_of(network: TemporalEncoderDecoder, method: Mapping[str, Any]) -> dict[str, Any]:
    """What a method needs to know of the segmentor: classes and feature channels."""
    known: dict[str, Any] = {'num_classes': network.out_channels}
    maps = getattr(network.neck if network.with_neck else network.backbone, 'out_channels', None)
    if isinstance(maps, int):
        known['feature_channels'] = maps
    elif maps is not None:
        known['feature_channels'] = maps[method.get('feature_index', 0)]
    return known


def _frozen_copy(network: TemporalEncoderDecoder) -> TemporalEncoderDecoder:
    teacher = copy.deepcopy(network).requires_grad_(False).eval()
    # Batches reach it preprocessed; its own statistics would only be a second copy that can disagree.
    teacher.data_preprocessor = nn.Identity()
    return teacher


def adaptor_of(model: nn.Module) -> DomainAdaptor:
    """The adaptor in a model that may be wrapped for distributed training.

    Raises:
        ValueError: if it is another model.
    """
    model = getattr(model, 'module', model)
    if not isinstance(model, DomainAdaptor):
        raise ValueError(f'this hook works on a DomainAdaptor, the model is a {type(model).__name__}')
    return model


@torch.no_grad()
def source_weights_as_adaptor(weights: Mapping[str, Tensor], adaptor_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a bare segmentor under the names of an adaptor.

    Args:
        weights: state dict of a `TemporalEncoderDecoder`, trained on the source.
        adaptor_state: state dict of the adaptor; its method's own entries are kept.

    Returns:
        A state dict for the adaptor: student and teacher get the weights.
    """
    state = {f'segmentor.{name}': value for name, value in weights.items()}
    for name, value in adaptor_state.items():
        if name.startswith('teacher.'):
            state[name] = weights.get(name.removeprefix('teacher.'), value).clone()
        elif name.startswith('method.'):
            state[name] = value
        elif name.startswith('segmentor.data_preprocessor.'):
            state.setdefault(name, value)
    return state
