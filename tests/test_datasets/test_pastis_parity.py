"""Dataset, transforms and preprocessor give the items of the published PASTIS loader."""

from pathlib import Path

from mmsits.parity import check_file

GOLDEN = Path(__file__).parents[1] / 'data' / 'parity' / 'pastis_item.npz'


def test_items_and_batch_equal_the_published_loader():
    report = check_file(GOLDEN)

    assert report is not None
    assert not report.not_compared
    assert len(report.comparisons) == 28
    assert [comparison for comparison in report.comparisons if not comparison.passed] == []
