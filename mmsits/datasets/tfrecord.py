"""TFRecord files without TensorFlow: their framing with checksums, and the messages `tf.train.Example` inside.

A file, here compressed by gzip, is a run of records: length (8 bytes, little-endian), masked CRC-32C of the length, the
bytes, masked CRC-32C of the bytes. The bytes of an example are a protocol buffer:

    Example { 1: Features { 1: repeated entry { 1: name, 2: Feature { 1: BytesList | 2: FloatList | 3: Int64List }}}}

each list being { 1: repeated values }, numbers packed or one by one.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import DataError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_AGAIN = 'Download the file again.'


def masked_checksum(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes, turned and shifted as the TFRecord format asks for."""
    import google_crc32c

    checksum = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: str | PathLike) -> Iterator[bytes]:
    """Contents of the records of a gzip TFRecord file, in order.

    Args:
        path: the file.

    Yields:
        The bytes of each record.

    Raises:
        DataError: if the file is missing or no gzip file, ends within a record, or a checksum is wrong; names the file
            and the record, counted from 0.
    """
    data = memoryview(_decompressed(Path(path)))
    place, number = 0, 0
    while place < len(data):
        head = data[place : place + 12]
        if len(head) < 12:
            _broken(path, number, f'12 bytes of length and checksum are expected, {len(head)} are left')
        length, checksum = struct.unpack('<QI', head)
        _check(path, number, 'length', bytes(head[:8]), checksum)
        body = data[place + 12 : place + 12 + length + 4]
        if len(body) < length + 4:
            _broken(path, number, f'{length} bytes and a checksum are expected, {len(body)} bytes are left')
        content = bytes(body[:length])
        _check(path, number, 'data', content, struct.unpack('<I', body[length:])[0])
        yield content
        place += 16 + length
        number += 1


def write_records(path: str | PathLike, records: Sequence[bytes]) -> None:
    """Write a gzip TFRecord file; the same records give the same bytes.

    Args:
        path: the file.
        records: contents of the records.
    """
    frames = []
    for record in records:
        length = struct.pack('<Q', len(record))
        frames += [length, struct.pack('<I', masked_checksum(length)), record]
        frames.append(struct.pack('<I', masked_checksum(record)))
    Path(path).write_bytes(gzip.compress(b''.join(frames), mtime=0))


def parse_example(content: bytes, path: str | PathLike) -> dict[str, Any]:
    """Features of a `tf.train.Example`.

    Args:
        content: the bytes of a record.
        path: named in errors.

    Returns:
        Name to a list of bytes, or to an array of float32 or int64, (N,).

    Raises:
        DataError: if the bytes are no such message.
    """
    try:
        features: dict[str, Any] = {}
        for example_field, _, message in _fields(memoryview(content)):
            if example_field != 1:
                continue
            for features_field, _, entry in _fields(message):
                if features_field == 1:
                    name, feature = _map_entry(entry)
                    features[name] = _feature_values(feature)
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise DataError(f'a record is no tf.train.Example ({error})', path=path, hint=_AGAIN) from error
    return features


def encode_example(features: Mapping[str, bytes | np.ndarray]) -> bytes:
    """The bytes of a `tf.train.Example`.

    Args:
        features: name to bytes (a list of one value) or to integers, (N,), not negative.

    Returns:
        What :func:`parse_example` reads.
    """
    entries = b''
    for name, values in features.items():
        if isinstance(values, bytes):
            feature = _message(1, _message(1, values))
        else:
            packed = b''.join(_varint(int(value)) for value in values)
            feature = _message(3, _message(1, packed))
        entries += _message(1, _message(1, name.encode()) + _message(2, feature))
    return _message(1, entries)


def _decompressed(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError('the file is missing', path=path, hint='Complete the download.') from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f'not a complete gzip file ({error})', path=path, hint=_AGAIN) from error


def _check(path: str | PathLike, number: int, what: str, content: bytes, stored: int) -> None:
    found = masked_checksum(content)
    if found != stored:
        _broken(path, number, f'the checksum of its {what} is {found:#010x}, {stored:#010x} is stored')


def _broken(path: str | PathLike, number: int, problem: str) -> NoReturn:
    raise DataError(f'record {number} is damaged: {problem}', path=path, hint=_AGAIN)


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field: an int, or a view of the bytes."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield number, kind, value
            continue
        if kind == _BYTES:
            length, place = _read_varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f'wire type {kind}')
        if place + length > len(message):
            raise ValueError(f'a field of {length} bytes, {len(message) - place} are left')
        yield number, kind, message[place : place + length]
        place += length


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7


def _map_entry(entry: memoryview) -> tuple[str, memoryview]:
    parts = {number: value for number, _, value in _fields(entry)}
    return bytes(parts.get(1, b'')).decode(), parts.get(2, memoryview(b''))


def _feature_values(feature: memoryview) -> Any:
    values: Any = []
    for kind, _, message in _fields(feature):
        if kind == 1:
            values = [bytes(value) for _, _, value in _fields(message)]
        elif kind == 2:
            parts = [np.frombuffer(value, '<f4') for _, _, value in _fields(message)]
            values = np.concatenate([np.zeros(0, '<f4'), *parts])
        elif kind == 3:
            values = np.array([number for field in _fields(message) for number in _integers(field)], np.int64)
    return values


def _integers(field: tuple[int, int, Any]) -> Iterator[int]:
    _, kind, value = field
    if kind == _VARINT:
        yield _signed(value)
        return
    place = 0
    while place < len(value):
        number, place = _read_varint(value, place)
        yield _signed(number)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
