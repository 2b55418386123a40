"""Pictures of samples."""

import numpy as np
import pytest

from mmsits.datasets import PASTISDataset
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs
from mmsits.visualization.series import (
    UNOBSERVED,
    chosen_dates,
    clearest_date,
    composite,
    draw_label_map,
    draw_sample,
    mark_unobserved,
    save_figure,
)
from tests.helpers.pastis_miniature import write_pastis_miniature


def test_true_colour_finds_its_bands_by_name():
    values = np.zeros((2, 4, 3, 3), np.int16)
    bands = ('B08', 'B02', 'B04', 'B03')
    values[1, 0] = 9000
    values[1, 1], values[1, 2], values[1, 3] = 500, 1500, 1000
    image = composite(values, bands, 1, 'reflectance x 10000')
    red, green, blue = image[0, 0].astype(int)
    assert red == 255
    assert red > green > blue > 0
    assert not composite(values, bands, 0, 'reflectance x 10000').any()


def test_radar_ratio_is_a_difference_in_decibels_and_a_quotient_otherwise():
    values = np.empty((1, 2, 1, 2), np.float32)
    values[0, 0], values[0, 1] = [-10, -10], [-19, -12]
    image = composite(values, ('VV', 'VH'), 0, 'dB')
    assert image[0, 0].tolist() == [127, 102, 127]
    assert image[0, 1, 2] == 0
    linear = composite(10 ** (values / 10), ('VV', 'VH'), 0, 'linear')
    assert linear[0, 0, 2] == 255
    assert linear[0, 1, 2] == 0


def test_stretched_decibels_are_not_taken_for_decibels():
    values = np.random.default_rng(0).integers(80, 200, (1, 2, 20, 20)).astype(np.uint8)
    image = composite(values, ('VV', 'VH'), 0, 'dB stretched to 0..255')
    assert (image.reshape(-1, 3).min(0) == 0).all()
    assert (image.reshape(-1, 3).max(0) == 255).all()


def test_any_other_sensor_has_a_picture_too():
    values = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
    image = composite(values, ('NDVI',), 1)
    assert image.shape == (2, 2, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_unobserved_pixels_and_ignored_labels_have_their_colours():
    image = np.zeros((2, 2, 3), np.uint8)
    valid = np.array([[True, False], [True, True]])
    assert mark_unobserved(image, valid)[0, 1].tolist() == list(UNOBSERVED)
    assert not image.any()
    drawn = draw_label_map(np.array([[0, 1], [255, 1]]), [(1, 2, 3), (4, 5, 6)])
    assert drawn.tolist() == [[[1, 2, 3], [4, 5, 6]], [[255, 255, 255], [4, 5, 6]]]


def test_dates_are_chosen_among_the_existing_ones():
    valid = np.ones((9, 1, 1), bool)
    assert chosen_dates(valid, 3).tolist() == [0, 4, 8]
    valid[[0, 8]] = False
    assert chosen_dates(valid, 2).tolist() == [1, 7]
    assert chosen_dates(valid, 20).tolist() == list(range(1, 8))
    assert chosen_dates(np.zeros((3, 1, 1), bool), 2).tolist() == [0]


@pytest.mark.parametrize('sensors', [('s2',), ('s2', 's1a')])
def test_a_sample_becomes_a_picture(tmp_path, sensors):
    folder = write_pastis_miniature(tmp_path / 'pastis', patches=1, sensors=sensors)
    dataset = PASTISDataset(folder, sensors=sensors, pipeline=[LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()])
    figure = draw_sample({'as loaded': dataset[0]}, dataset.metainfo, num_dates=3, title='a sample')
    titles = [axis.get_title() for axis in figure.axes]
    assert sum(title.startswith('s2 2018-') for title in titles) == 3
    assert titles.count('labels') == 1
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    present = {dataset.metainfo['classes'][label] for label in np.unique(dataset[0]['targets']) if label != 255}
    assert present | {'not labelled', 'not observed'} == set(names)
    save_figure(figure, tmp_path / 'new' / 'picture.png')
    assert (tmp_path / 'new' / 'picture.png').read_bytes().startswith(b'\x89PNG')


def test_the_clearest_date_is_the_greenest_of_those_seen_most():
    values = np.full((4, 2, 6, 6), 1000, np.int16)  # bands B04, B08
    values[1, 1] = 3000
    values[2, 1] = 2000
    values[3, 1] = 9000
    valid = np.ones((4, 6, 6), bool)
    valid[3, 0] = False
    assert clearest_date(values, valid, ('B04', 'B08')) == 1
    assert clearest_date(values, valid, ('VV', 'VH')) == 1
    valid[1, 2, 2] = False
    assert clearest_date(values, valid, ('B04', 'B08')) == 2
    assert clearest_date(values, np.zeros_like(valid), ('B04', 'B08')) in range(4)
