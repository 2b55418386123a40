"""What converters of published weights share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def rename_completely(
    published: Mapping[str, Tensor],
    rename: Callable[[str], str],
    expected: Mapping[str, torch.Size],
    network: str,
) -> dict[str, Tensor]:
    """Rename weights and check that they are those of a network, all of them and no others.

    Args:
        published: weights under their published names.
        rename: gives the name here of a published name.
        expected: shape of each weight, by its name here.
        network: what the weights should belong to, for the message.

    Returns:
        The weights under their names here.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    converted = {rename(key): value for key, value in published.items()}
    missing, unknown = sorted(expected.keys() - converted.keys()), sorted(converted.keys() - expected.keys())
    if missing or unknown:
        original = {rename(key): key for key in published}
        raise ValueError(
            f'not the weights of a published {network}: {len(missing)} of {len(expected)} parameters are missing '
            f'{missing[:5]}, {len(unknown)} are unknown {[original[key] for key in unknown[:5]]}'
        )
    # Counters of batch norm are stored as () or (1,), whichever version of torch wrote them.
    converted = {key: value.reshape(expected[key]) if value.numel() == 1 else value for key, value in converted.items()}
    wrong = [key for key, value in converted.items() if value.shape != expected[key]]
    if wrong:
        details = '; '.join(f'{key}: {tuple(converted[key].shape)}, not {tuple(expected[key])}' for key in wrong[:5])
        raise ValueError(f'{len(wrong)} parameters have shapes that do not fit the rest of the network: {details}')
    return converted
