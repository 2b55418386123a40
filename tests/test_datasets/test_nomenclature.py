"""The crop nomenclature: its hierarchy, codes of all classes, matches between lists, and datasets that take part."""

import itertools
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets import (
    DataError,
    DomainViews,
    DrawIndex,
    MergedDataset,
    PASTISDataset,
    SeriesTableDataset,
    TimeMatchDataset,
    identity_collate,
)
from mmsits.datasets.nomenclature import (
    BOTTOM_LEVEL,
    IGNORED,
    UNKNOWN,
    CropCode,
    ancestors,
    at_level,
    code_list_names,
    colour_of,
    common_ancestor,
    hcat_code,
    hcat_names,
    is_within,
    level_of,
    match_classes,
    read_code_list,
)
from mmsits.datasets.simulator.region import CLASS_NAMES
from mmsits.datasets.simulator.timematch_layout import BAND_ORDER
from mmsits.datasets.timematch_classes import CLASS_TABLES, class_names
from mmsits.models import SeriesDataPreprocessor
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.timematch_miniature import write_timematch_miniature

PACK = [dict(type='PackSeriesInputs')]
DENSE = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), *PACK]
WHEAT, WINTER_WHEAT, CEREAL = (hcat_code(name) for name in ('common_soft_wheat', 'winter_common_soft_wheat', 'cereal'))


def codes_of(name):
    known = read_code_list(name)
    return known.codes(known.names)


# The hierarchy


def test_every_code_stands_below_its_parent_and_nowhere_else():
    for code in hcat_names():
        path = (*ancestors(code), code)
        assert [level_of(above) for above in path] == list(range(1, level_of(code) + 1))
        assert all(is_within(below, above) for above, below in itertools.combinations(path, 2))
        assert not any(is_within(above, code) for above in path[:-1])
        assert hcat_code(hcat_names()[code]) == hcat_code(str(code)) == code


@pytest.mark.parametrize('level', range(1, BOTTOM_LEVEL + 1))
def test_a_level_is_a_partition(level):
    for code in hcat_names():
        group = at_level(code, level)
        assert is_within(code, group)
        assert level_of(group) <= level
        assert at_level(group, level) == group
        assert at_level(code, max(1, level - 1)) == at_level(group, max(1, level - 1))


def test_a_crop_of_unspecified_season_is_the_crop():
    assert at_level(hcat_code('unspecified_season_barley'), BOTTOM_LEVEL) == hcat_code('barley')


def test_the_common_ancestor_is_the_lowest():
    assert common_ancestor([WINTER_WHEAT, hcat_code('spring_barley')]) == CEREAL
    assert common_ancestor([WINTER_WHEAT]) == WINTER_WHEAT
    with pytest.raises(ValueError, match='no code'):
        common_ancestor([])


def test_what_is_no_code_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match='common_soft_wheat'):
        hcat_code('comon_soft_wheat')
    with pytest.raises(ValueError, match='neither a code'):
        hcat_code(42)
    with pytest.raises(ValueError, match='levels 1'):
        at_level(WHEAT, 7)


# Codes of the datasets' classes


@pytest.mark.parametrize('name', code_list_names())
def test_codes_exist_and_classes_without_one_say_why(name):
    for title, code in codes_of(name).items():
        assert code.listed, title
        assert code.hcat in hcat_names() if code.hcat is not None else code.note, title


@pytest.mark.parametrize('country', CLASS_TABLES)
@pytest.mark.parametrize('combined', [False, True])
def test_all_classes_of_timematch_have_an_entry(country, combined):
    assert all(name in read_code_list('timematch') for name in class_names(CLASS_TABLES[country], combined))


def test_all_classes_of_pastis_and_the_simulator_have_an_entry():
    known = read_code_list('pastis')
    assert all(name in known for name in (*PASTISDataset.METAINFO['classes'], *CLASS_NAMES.values()))


@pytest.mark.real_data
@pytest.mark.parametrize('name', [name for name in code_list_names() if '-' in name and name != 'us-cdl'])
def test_all_classes_of_real_tables_have_an_entry(name):
    tables = Path(os.environ.get('MMSITS_DATA', 'data'), name).glob('*.npz')
    held = [arrays['classes'] for arrays in map(np.load, tables) if 'classes' in arrays.files]
    if not held:
        pytest.skip(f'no table of {name} under MMSITS_DATA')
    assert all(str(title) in read_code_list(name) for classes in held for title in classes)


# Lists of codes


def test_a_list_finds_names_and_codes_however_they_are_written(tmp_path):
    path = tmp_path / 'codes.csv'
    path.write_text('code,name,hcat,note\n007,Winter Wheat,3301010101,\nB2,spuds,potatoes,\n99,lake,,water\n')
    known = read_code_list(path)
    assert {known[name].hcat for name in ('winter_wheat', 'WINTER-WHEAT', '7', '007')} == {WINTER_WHEAT}
    assert known['b2'] == known['Spuds'] == CropCode(hcat_code('potatoes'))
    assert known['lake'] == CropCode(None, 'water')
    assert not known['bananas'].listed
    assert known['cereal'].hcat == CEREAL


def test_tables_of_eurocrops_are_read_as_they_are(tmp_path):
    path = tmp_path / 'fr.csv'
    path.write_text(
        'original_code,original_name,translated_name,HCAT3_name,HCAT3_code\n'
        "BTH,Blé tendre d'hiver,Soft winter wheat,winter_common_soft_wheat,3301010101\n"
        'X1,mélange,Mixture,winter_barley,3301010401\n'
        'X2,mélange,Mixture,spring_barley,3301010402\n'
        'TOP,Topinambour,Jerusalem artichoke,topinambur_jerusalem_artichoke,3301290900\n'
    )
    known = read_code_list(path)
    assert known['BTH'].hcat == known['soft winter wheat'].hcat == WINTER_WHEAT
    # One name for two codes is what they have in common; a code of an older version is found by its name.
    assert known['X1'].hcat == hcat_code('winter_barley')
    assert known['Mixture'].hcat == hcat_code('barley')
    assert known['TOP'].hcat == hcat_code('topinambur_jerusalem_artichoke')


def test_classes_that_join_several_stand_above_them():
    joined = read_code_list('pastis').codes(['winter barley + spring barley', 'meadow + void'])
    assert [code.hcat for code in joined.values()] == [hcat_code('barley'), None]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('name,hcat\nwheat,123\n', 'line 2'),
        ('crop,number\nwheat,1\n', 'needs the columns'),
        ('', 'needs the columns'),
    ],
)
def test_bad_lists_are_named(tmp_path, text, message):
    (tmp_path / 'codes.csv').write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_code_list(tmp_path / 'codes.csv')
    assert 'codes.csv' in str(error.value)


def test_a_list_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(DataError, match='pastis'):
        read_code_list('pastiss')


# Matches


@pytest.mark.parametrize('level', range(3, BOTTOM_LEVEL + 1))
@pytest.mark.parametrize('pair', list(itertools.pairwise(code_list_names())))
def test_every_class_has_one_fate_that_suits_its_code(pair, level):
    lists = [codes_of(name) for name in pair]
    match = match_classes(*lists, level=level)
    for number, codes in enumerate(lists):
        groups = [match.members(number, label) for label in (*range(len(match.classes)), IGNORED)]
        # What was merged can be taken apart again: each class is in one group, none is lost.
        assert sorted(itertools.chain(*groups)) == sorted(codes)
        assert match.translation(number).tolist() == [match.fates[number][name].label for name in codes]
        for name, fate in match.fates[number].items():
            if fate.label != IGNORED:
                assert is_within(codes[name].hcat, match.codes[fate.label])
            else:
                assert fate.reason
    assert not any(is_within(a, b) for a, b in itertools.permutations(match.codes, 2))
    assert match_classes(*lists[::-1], level=level).classes == match.classes


def test_classes_merged_at_a_level_stay_together_further_up():
    lists = [codes_of('pastis'), codes_of('timematch')]
    fine, coarse = (match_classes(*lists, level=level) for level in (6, 4))
    for number, codes in enumerate(lists):
        for one, other in itertools.combinations(codes, 2):
            labels = [[match.fates[number][name].label for name in (one, other)] for match in (fine, coarse)]
            if labels[0][0] == labels[0][1] != IGNORED:
                assert labels[1][0] == labels[1][1]


def test_a_class_that_others_lie_within_is_dropped():
    known = dict(wheat=CropCode(WHEAT), grain=CropCode(CEREAL))
    match = match_classes(known, dict(barley=CropCode(hcat_code('barley'))), level=5)
    assert match.fates[0]['grain'].label == IGNORED
    assert 'coarser' in match.fates[0]['grain'].reason
    assert match_classes(known, level=4).classes == ('cereal',)


def test_given_classes_take_what_lies_within_the_lowest():
    codes = codes_of('pastis')
    match = match_classes(codes, classes=['common_soft_wheat', 'cereal', 'potatoes'], keep=['background'])
    assert match.classes == ('common_soft_wheat', 'cereal', 'potatoes', 'background')
    assert match.members(0, 0) == ('soft winter wheat',)
    assert 'winter barley' in match.members(0, 1)
    assert match.members(0, 3) == ('background',)
    assert 'not among' in match.fates[0]['meadow'].reason


def test_classes_can_be_put_together_by_hand():
    match = match_classes(
        codes_of('us-cdl'),
        codes_of('central-asia-ndvi'),
        classes=dict(wheat=['common_soft_wheat', 'durum_hard_wheat'], wood=['tree_wood_forest', 'woody wetlands']),
        keep=['wheat-rice'],
    )
    assert set(match.members(0, 1)) == {'Woody Wetlands', 'Evergreen Forest', 'Deciduous Forest'}
    assert match.members(1, 2) == ('wheat-rice',)
    assert 'wheat-rice' not in match.members(1, 0)
    assert match.shared == (0,)


def test_unknown_crops_match_nothing():
    match = match_classes(dict(other=CropCode(UNKNOWN), maize=CropCode(WHEAT)), dict(rest=CropCode(UNKNOWN)))
    assert match.classes == ('common_soft_wheat',)
    assert match.fates[0]['other'].unknown
    assert 'unknown in target: rest' in match.report()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(classes=['wheaty']), 'neither a code'),
        (dict(classes=dict(wood=['woood'])), 'woood'),
        (dict(classes='cereal'), 'lists of names'),
        (dict(classes=dict(a='cereal', b=['cereal'])), 'two classes'),
        (dict(level=9), 'levels'),
        (dict(names=['one', 'two']), 'names'),
    ],
)
def test_senseless_requests_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        match_classes(codes_of('pastis'), **options)


def test_nothing_left_is_refused():
    with pytest.raises(ValueError, match='no class is left'):
        match_classes(read_code_list(None).codes(['this', 'that']))


def test_colours_differ_and_depend_on_the_class_alone():
    colours = [colour_of(code) for code in hcat_names()]
    assert len(set(colours)) == len(colours)
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    match = match_classes(codes_of('pastis'), level=5)
    assert dict(zip(match.classes, match.palette, strict=True))['sunflower'] == list(colour_of(hcat_code('sunflower')))


# Datasets


@pytest.fixture(scope='module')
def patches(tmp_path_factory):
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'))


@pytest.fixture(scope='module')
def parcels(tmp_path_factory):
    return write_timematch_miniature(tmp_path_factory.mktemp('timematch'))


@pytest.fixture(scope='module')
def tables(tmp_path_factory):
    """Two tables of pixels with the bands of PASTIS, whose classes have other names, and a list of codes."""
    folder = tmp_path_factory.mktemp('tables')
    rng = np.random.default_rng(0)
    names = {'one': ['Corn', 'Winter Wheat', 'lake'], 'two': ['wheat', 'pasture', 'maize', 'wheat-rice']}
    for name, classes in names.items():
        np.savez(
            folder / f'{name}.npz',
            x=rng.random((12, 6, 10)).astype(np.float32) * 3000,
            date=np.array([f'2019-{month:02d}-05' for month in range(2, 8)]),
            y=np.arange(12) % len(classes),
            classes=np.array(classes),
        )
    (folder / 'codes.csv').write_text(
        'name,hcat,note\nCorn,grain_maize_corn_popcorn,\nmaize,grain_maize_corn_popcorn,\nlake,,water\n'
        'Winter Wheat,winter_common_soft_wheat,\nwheat,common_soft_wheat,\npasture,pasture_meadow_grassland_grass,\n'
        'wheat-rice,common_soft_wheat,followed by rice\n'
    )
    return folder


def open_table(folder, name, **options):
    options = {'code_list': str(folder / 'codes.csv'), 'pipeline': PACK, **options}
    return SeriesTableDataset(
        str(folder),
        table=f'{name}.npz',
        columns=dict(classes='classes'),
        bands=PASTISDataset.S2_BANDS,
        unit='reflectance x 10000',
        **options,
    )


def test_label_maps_are_translated_pixel_by_pixel(patches):
    own = PASTISDataset(str(patches), pipeline=DENSE)
    options = dict(nomenclature=dict(level=4, keep=['background']), ignored_classes=['corn'])
    other = PASTISDataset(str(patches), pipeline=DENSE, **options)
    match = match_classes(own.class_codes(), level=4, keep=['background'])
    new = np.full(256, IGNORED)
    new[: len(own.metainfo['classes'])] = match.translation()
    new[own.metainfo['classes'].index('corn')] = IGNORED
    for index in range(len(own)):
        np.testing.assert_array_equal(other[index]['targets'].numpy(), new[own[index]['targets'].numpy()])
    assert other.metainfo['classes'] == match.classes
    assert len(other.metainfo['palette']) == len(match.classes)
    assert own.metainfo['classes'] == PASTISDataset.METAINFO['classes']


def test_labels_of_parcels_are_translated(parcels):
    options = dict(data_root=str(parcels), source='DK1', min_parcels=2, pipeline=PACK)
    own = TimeMatchDataset(**options)
    other = TimeMatchDataset(**options, nomenclature=dict(level=5), ignored_classes=['meadow'])
    for before, after, sample in zip(own.labels, other.labels, [other[i] for i in range(len(other))], strict=True):
        name = own.metainfo['classes'][before]
        code = own.class_codes()[name].hcat
        lost = name == 'meadow' or code == UNKNOWN
        assert after == (IGNORED if lost else other.metainfo['classes'].index(hcat_names()[at_level(code, 5)]))
        assert sample['targets'].item() == after
    subset = other.get_subset([0, 5])
    assert subset.labels.tolist() == other.labels[[0, 5]].tolist()
    np.testing.assert_array_equal(other.__getitems__([3, 4, 5])['targets'].flatten(), other.labels[3:6])


def test_a_table_has_the_classes_that_its_codes_say(tables):
    dataset = open_table(tables, 'one', nomenclature=dict(classes=['common_soft_wheat', 'grain_maize_corn_popcorn']))
    assert dataset.metainfo['classes'] == ('common_soft_wheat', 'grain_maize_corn_popcorn')
    assert dataset.labels.tolist() == [1, 0, 255] * 4
    assert [code.hcat for code in dataset.class_codes().values()] == [WHEAT, hcat_code('grain_maize_corn_popcorn')]


def test_classes_that_no_list_has_are_lost_with_a_warning(tables, monkeypatch):
    logged = []
    monkeypatch.setattr('mmsits.datasets.base.print_log', lambda *message: logged.append(message))
    dataset = open_table(tables, 'two', code_list={'wheat': 'common_soft_wheat'}, nomenclature=dict(level=5))
    assert dataset.metainfo['classes'] == ('common_soft_wheat',)
    assert [text for text, _, level in logged if level == logging.WARNING and 'classes pasture, maize' in text]


def test_more_classes_than_labels_can_be_joined_but_not_kept_apart(tmp_path):
    count = 300
    np.savez(
        tmp_path / 'many.npz',
        x=np.ones((count, 2, 1), np.float32),
        date=np.array(['2019-05-01', '2019-06-01']),
        y=np.arange(count),
        classes=np.array([f'crop {number}' for number in range(count)]),
    )
    codes = {f'crop {number}': 'cereal' if number % 2 else 'potatoes' for number in range(count)}
    with pytest.raises(ValueError, match='300 classes'):
        SeriesTableDataset(str(tmp_path), table='many.npz', pipeline=PACK)
    joined = SeriesTableDataset(
        str(tmp_path), table='many.npz', pipeline=PACK, code_list=codes, nomenclature=dict(level=4)
    )
    assert joined.labels.tolist() == [1, 0] * (count // 2)


def test_merged_datasets_speak_of_the_same_classes(tables):
    parts = [open_table(tables, 'one'), open_table(tables, 'two')]
    own = [(part.metainfo['classes'], part.labels.copy()) for part in parts]
    merged = MergedDataset(parts, level=5, keep=['wheat-rice'])
    assert merged.metainfo['classes'][-1] == 'wheat-rice'
    expected = []
    for number, (classes, labels) in enumerate(own):
        expected += [merged.match.fates[number][classes[label]].label for label in labels]
    assert merged.labels.tolist() == expected
    assert merged.labels.tolist() == [merged[index]['targets'].item() for index in range(len(merged))]
    assert merged.sample_sizes.tolist() == [1] * 24
    sizes = np.array([len(part) for part in parts])
    means = np.array([part.statistics['s2']['mean'] for part in parts])
    np.testing.assert_allclose(merged.metainfo['statistics']['s2']['mean'], (sizes @ means) / sizes.sum(), rtol=1e-9)


def test_pooled_statistics_are_those_of_all_values(tables):
    merged = MergedDataset([open_table(tables, 'one'), open_table(tables, 'two')])
    values = np.concatenate([np.load(tables / f'{name}.npz')['x'].reshape(-1, 10) for name in ('one', 'two')])
    np.testing.assert_allclose(merged.statistics['s2']['std'], values.std(0), rtol=1e-2)


@pytest.mark.parametrize('indices', [[3, 15, 0, 23, 11, 12], [2, 1], [20, 13]])
def test_a_batch_of_several_datasets_holds_what_single_reads_give(tables, indices):
    merged = MergedDataset([open_table(tables, 'one'), open_table(tables, 'two')])
    drawn = [DrawIndex(index, draw, 0) for draw, index in enumerate(indices)]
    batch = identity_collate(merged.__getitems__(drawn))
    single = pseudo_collate([merged[index] for index in drawn])
    preprocessor = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=merged.statistics)
    ours, theirs = preprocessor(batch), preprocessor(single)
    for a, b in zip(ours['inputs']['s2'], theirs['inputs']['s2'], strict=True):
        assert torch.equal(a, b)
    assert torch.equal(ours['targets'], theirs['targets'])
    assert [meta['paths'] for meta in ours['metas']] == [meta['paths'] for meta in theirs['metas']]


def test_patches_and_pixels_meet_in_a_batch(tables, patches):
    merged = MergedDataset(
        [PASTISDataset(str(patches), season_start='01-01', pipeline=DENSE), open_table(tables, 'two')], level=5
    )
    batch = identity_collate(merged.__getitems__([0, len(merged) - 2]))
    data = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=merged.statistics)(batch)
    assert data['inputs']['s2'].values.shape[-2:] == data['targets'].shape[-2:] == (16, 16)
    assert (data['targets'][1] != IGNORED).sum() == 1
    assert merged.labels is None


def test_datasets_with_other_bands_are_not_merged(tables, parcels):
    domain = TimeMatchDataset(str(parcels), source='DK1', min_parcels=2, pipeline=PACK)
    with pytest.raises(ValueError, match='same bands'):
        MergedDataset([open_table(tables, 'one'), domain])
    assert set(BAND_ORDER) == set(PASTISDataset.S2_BANDS)


def test_a_merged_source_gives_views(tables):
    domains = dict(
        source=dict(
            dataset=MergedDataset([open_table(tables, 'one'), open_table(tables, 'two')]), order='class_balanced'
        ),
        target=dict(
            dataset=MergedDataset([open_table(tables, 'two')]),
            views=dict(target_weak=PACK, target_strong=[dict(type='SampleDates', num_dates=3), *PACK]),
        ),
    )
    batch = DomainViews(domains).__getitems__([0, 1, 2, 3])
    assert batch['target_weak']['inputs']['s2'].values.shape[1] == 6
    assert batch['target_strong']['inputs']['s2'].values.shape[1] == 3
    assert 'targets' in batch['source']
    assert not {'targets'} & {*batch['target_weak'], *batch['target_strong']}


def test_two_merged_datasets_train(tables, patches, tmp_path):
    from mmengine.runner import Runner

    from mmsits.engine import load_config
    from tests.helpers.tiny_model import write_config

    extra = f"""
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(type='MergedDataset', level=5, keep=['background'], datasets=[
        dict(type='PASTISDataset', data_root={str(patches)!r}, folds=[1, 2], season_start='01-01', pipeline=_plain),
        dict(type='SeriesTableDataset', data_root={str(tables)!r}, table='two.npz', unit='reflectance x 10000',
             bands={PASTISDataset.S2_BANDS!r}, code_list={str(tables / 'codes.csv')!r},
             pipeline=[dict(type='PackSeriesInputs')])]))
val_dataloader['dataset'].update(season_start='01-01', nomenclature=dict(level=5, keep=['background']))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=6)
"""
    config = load_config(write_config(tmp_path / 'merged.py', patches, extra))
    merged = MergedDataset(
        [PASTISDataset(str(patches), pipeline=DENSE), open_table(tables, 'two')], level=5, keep=['background']
    )
    config.model.decode_head.num_classes = len(merged.metainfo['classes'])
    runner = Runner.from_cfg(config)
    before = [weight.clone() for weight in runner.model.parameters()]
    runner.train()
    assert runner.train_dataloader.dataset.metainfo['classes'] == runner.val_dataloader.dataset.metainfo['classes']
    assert any(not torch.equal(a, b) for a, b in zip(before, runner.model.parameters(), strict=True))
    assert runner.iter == 6
