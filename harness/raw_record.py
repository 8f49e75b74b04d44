"""A record as no client of ours writes one: with a header whose name is not UTF-8, by Kafka's own protocol.

Invariant: the broker takes it, since to a broker a header's name is bytes.
"""

import socket
import struct
import time
from typing import Final

CASTAGNOLI: Final = 0x82F63B78
PRODUCE: Final = 0
LAST_VERSION_BEFORE_FLEXIBLE: Final = 8
UNREADABLE: Final = b"\xff\xfe"
SECONDS: Final = 10.0


def publish_unreadable(port: int, topic: str, partition: int, value: bytes) -> int:
    """Publish `value` with a header that clients cannot decode, to the broker on this port; its offset.

    Raises:
        RuntimeError: the broker refuses it.
    """
    batch = _batch(_record(value))
    body = _text(None) + struct.pack(">hii", -1, 10_000, 1) + _text(topic)
    body += struct.pack(">iii", 1, partition, len(batch)) + batch
    request = struct.pack(">hhi", PRODUCE, LAST_VERSION_BEFORE_FLEXIBLE, 1) + _text("raw-record") + body
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = _read(connection, struct.unpack(">i", _read(connection, 4))[0])
    # correlation, one topic, its name, one partition: its number, an error, the offset
    error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(topic) + 4 + 4)
    if error:
        raise RuntimeError(f"the broker refuses the record: error {error}")
    return int(offset)


def _record(value: bytes) -> bytes:
    header = _varint(len(UNREADABLE)) + UNREADABLE + _varint(1) + b"x"
    content = b"\x00" + _varint(0) + _varint(0) + _varint(-1) + _varint(len(value)) + value + _varint(1) + header
    return _varint(len(content)) + content


def _batch(record: bytes) -> bytes:
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, _crc32c(checked)) + checked


def _varint(number: int) -> bytes:
    zigzag, found = (number << 1) ^ (number >> 31), bytearray()
    while zigzag >= 0x80:
        found.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*found, zigzag])


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _text(text: str | None) -> bytes:
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += connection.recv(count - len(found)) or _ended()
    return found


def _ended() -> bytes:
    raise RuntimeError("the broker hung up: it does not take the request")
