"""TFRecords: what is written is read, checksums are those of the standard, damage names the file and the record."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import DataError
from mmsits.datasets.tfrecord import encode_example, masked_checksum, parse_example, read_records, write_records


def test_the_checksum_is_that_of_the_standard() -> None:
    # RFC 3720, B.4: the CRC-32C of 32 zeros is 0x8a9136aa; TFRecord turns it by 15 bits and adds a constant.
    crc = 0x8A9136AA
    assert masked_checksum(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_records_and_examples_come_back(tmp_path: Path) -> None:
    path = tmp_path / 'a.tfrecord.gz'
    features = {'x/data': np.arange(40).tobytes(), 'x/shape': np.array([40, 1, 300, 70000]), 'empty': b''}
    write_records(path, [encode_example(features), b''])
    first, second = read_records(path)
    assert second == b''
    found = parse_example(first, path)
    assert set(found) == set(features)
    assert found['x/data'] == [features['x/data']]
    np.testing.assert_array_equal(found['x/shape'], features['x/shape'])


def test_numbers_may_come_one_by_one_and_negative() -> None:
    # A list written without packing: key 0x08, then the number; -1 takes ten bytes.
    numbers = b'\x08\x05\x08' + b'\xff' * 9 + b'\x01'
    feature = b'\x1a' + bytes([len(numbers)]) + numbers
    entry = b'\x0a\x01n\x12' + bytes([len(feature)]) + feature
    features = b'\x0a' + bytes([len(entry)]) + entry
    content = b'\x0a' + bytes([len(features)]) + features
    np.testing.assert_array_equal(parse_example(content, 'x')['n'], [5, -1])


@pytest.mark.parametrize(
    ('place', 'words'), [(3, 'checksum of its length'), (14, 'checksum of its data'), (None, 'bytes are left')]
)
def test_damage_names_file_and_record(tmp_path: Path, place: int | None, words: str) -> None:
    path = tmp_path / 'tile.tfrecord.gz'
    write_records(path, [b'first', b'second record'])
    data = bytearray(gzip.decompress(path.read_bytes()))
    start = 16 + len(b'first')
    if place is None:
        data = data[:-3]
    else:
        data[start + place] ^= 1
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(DataError, match=words) as error:
        list(read_records(path))
    assert 'record 1' in str(error.value)
    assert str(path) in str(error.value)


def test_what_is_no_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'tile.tfrecord.gz'
    write_records(path, [b'record' * 100])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match='not a complete gzip file'):
        list(read_records(path))
    with pytest.raises(DataError, match='missing'):
        list(read_records(tmp_path / 'absent'))


def test_other_messages_are_refused() -> None:
    with pytest.raises(DataError, match=r'no tf\.train\.Example'):
        parse_example(b'\x0a\xff', 'x')
