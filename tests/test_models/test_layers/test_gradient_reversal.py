import pytest
import torch

from mmsits.models.layers.gradient_reversal import GradientReversal, ramp, reverse_gradient


def test_the_gradient_is_reversed_and_scaled() -> None:
    x = torch.randn(3, requires_grad=True)
    out = reverse_gradient(x, 0.3)
    assert torch.equal(out, x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((3,), -0.3))


def test_the_ramp_starts_at_the_bottom_and_ends_at_the_top() -> None:
    assert float(ramp(0, low=0.2, high=0.8)) == pytest.approx(0.2)
    assert float(ramp(1e6, low=0.2, high=0.8)) == pytest.approx(0.8)
    assert float(ramp(torch.tensor(1000))) == pytest.approx(0.4621, abs=1e-4)


@pytest.mark.parametrize('ahead', [False, True])
def test_passes_in_training_are_counted_and_saved(ahead: bool) -> None:
    reversal = GradientReversal(counts_before_use=ahead)
    x = torch.ones(1, requires_grad=True)
    weights = []
    for _ in range(3):
        (gradient,) = torch.autograd.grad(reversal(x).sum(), x)
        weights.append(-float(gradient))
    assert weights == pytest.approx([float(ramp(i + ahead)) for i in range(3)])
    other = GradientReversal()
    other.load_state_dict(reversal.state_dict())
    assert int(other.count) == 3
    other.eval()(x)
    assert int(other.count) == 3
