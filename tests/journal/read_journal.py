#!/usr/bin/env python3
"""Reads a run of a journal as FORMAT.md describes it, and prints a JSON object a record.

    read_journal.py FOLDER...     the folders of one run, the disk's first

Written from the page alone, to prove that it says enough. Reads, and changes nothing.
"""
import glob
import json
import os
import struct
import sys

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def add(state, data):
    for byte in data:
        state = (state >> 8) ^ TABLE[(state ^ byte) & 0xFF]
    return state


def crc32c(data):
    return add(0xFFFFFFFF, data) ^ 0xFFFFFFFF


def in_three_strands(place_word, data):
    a = b = 0xFFFFFFFF
    c = add(0xFFFFFFFF, place_word)
    at = 0
    while len(data) - at >= 24:
        a, b, c = add(a, data[at:at + 8]), add(b, data[at + 8:at + 16]), add(c, data[at + 16:at + 24])
        at += 24
    c = add(c, data[at:])
    return add(c, struct.pack('<II', a, b)) ^ 0xFFFFFFFF


def place(lane, position):
    return struct.pack('<Q', ((lane << 48) ^ position) & 0xFFFFFFFFFFFFFFFF)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError('it ends too early')
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, letter):
        return struct.unpack('<' + letter, self.take(struct.calcsize('<' + letter)))[0]

    def text(self, size=None):
        return self.take(self.number('I') if size is None else size).decode('utf-8', 'replace')


def read_value(reader, kind, size):
    if kind == 0:
        return None
    if kind == 1:
        return reader.text(size)
    raw = reader.take(8)
    unsigned = struct.unpack('<Q', raw)[0]
    if kind == 2:
        return chr(unsigned)
    if kind == 3:
        return unsigned != 0
    if kind == 4:
        return struct.unpack('<q', raw)[0]
    if kind == 5:
        return unsigned
    if kind == 6:
        return struct.unpack('<f', raw[:4])[0]
    if kind == 7:
        return struct.unpack('<d', raw)[0]
    raise ValueError('a kind of value that there is not')


def read_trace_event(payload):
    reader = Reader(payload)
    event = {'kind': reader.number('B'), 'access': reader.number('B')}
    shape = reader.number('H')
    if shape >> 1:
        raise ValueError('a trace event of a later version')
    event['line'], event['step'], duration = reader.number('I'), reader.number('Q'), reader.number('q')
    if shape & 1:
        event['duration_ns'] = duration
    for name, size in ('id', 16), ('trace_id', 16), ('parent_id', 16), ('span_id', 8), ('upstream_span_id', 8):
        event[name] = reader.take(size).hex()
    sizes = [reader.number('I') for _ in range(10)]
    event['texts'] = [reader.text(size) for size in sizes]
    return event


def read_event(payload):
    reader = Reader(payload)
    shape = reader.number('I')
    if shape >> 30:
        raise ValueError('an event of a later version')
    event = {}
    if shape & 1 << 25:
        event['when'] = reader.number('q')
    if shape & 1 << 26:
        event['process_id'] = reader.number('q')
    if shape & 1 << 29:
        event['trace'] = [reader.take(16).hex(), reader.take(8).hex()]
    if shape & 1 << 27:
        event['addresses'] = [reader.number('Q') for _ in range(reader.number('I'))]
    if shape & 1 << 28:
        event['frames'] = [
            [reader.number('I'), reader.number('Q')] + [reader.text() for _ in range(5)]
            for _ in range(reader.number('I'))]
    if shape & 1 << 24:
        event['data'] = []
    for _ in range(shape & 0xFFFFFF):
        head = reader.number('I')
        key_size, value_size = head >> 5 & 0x7FF, head >> 16
        if head & 1 << 4:
            key_size, value_size = reader.number('I'), reader.number('I')
        key = reader.text(key_size)
        event['data'].append([key, head & 15, read_value(reader, head & 15, value_size)])
    return event


def read_process(payload):
    reader = Reader(payload)
    process = {'run_ts': reader.number('q')}
    has_pid, pid = reader.number('B'), reader.number('q')
    process['pid'] = pid if has_pid else None
    process['app'] = reader.text()
    for name in ('version', 'environment', 'user', 'host', 'executable'):
        process[name] = reader.text() if reader.number('B') else None
    return process


class Clock:
    """Lines: from which ticks on each one counts, and two points of it."""

    def __init__(self, source, lines):
        self.source, self.lines = source, []
        for line in lines:
            if self.lines and line[0] < self.lines[-1][0]:
                continue
            if self.lines and line[0] == self.lines[-1][0]:
                self.lines.pop()
            self.lines.append(line)

    def to_ns(self, ticks):
        if self.source == 0:
            return ticks
        if not self.lines:
            return None
        _, a, s, b, t = next((line for line in reversed(self.lines) if line[0] <= ticks), self.lines[0])
        return t + round((ticks - b) * (t - s) / (b - a)) if a != b else s


def is_front(front):
    return (len(front) >= 4096 and front[:8] == b'CWFRONT\n' and
            struct.unpack_from('<II', front, 8) == (2, 262144) and
            struct.unpack_from('<I', front, 32)[0] == crc32c(front[:32]))


def pieces_of_front(front, stored):
    if not is_front(front):
        return
    slot_bytes, slots, lanes, first, source = struct.unpack_from('<IIIII', front, 12)
    count = struct.unpack_from('<Q', front, 40)[0]
    lines = [struct.unpack_from('<QQqQq', front, 80 + i % 64 * 40) for i in range(max(0, count - 63), count)]
    clock = Clock(source, lines)
    for lane in range(lanes):
        position, crc = struct.unpack_from('<QI', front, 4096 + lane * 16)
        if crc == crc32c(place(lane, position)):
            stored[lane] = max(stored.get(lane, 0), position)
    for slot in range(slots):
        begin = first + slot * slot_bytes
        header = front[begin:begin + 64]
        if len(header) != 64 or header[:4] != b'CWSL':
            continue
        if struct.unpack_from('<I', header, 4)[0] == crc32c(header[8:]):
            lane, _, position = struct.unpack_from('<IIQ', header, 8)
            yield lane, position, front[begin + 64:begin + slot_bytes], clock


def pieces_of_spill(spill):
    at = 16
    while at + 64 <= len(spill):
        header = spill[at:at + 64]
        if header[:4] != b'CWSB' or struct.unpack_from('<I', header, 4)[0] != crc32c(header[8:]):
            at += 8
            continue
        lane, size, position, source = struct.unpack_from('<IIQI', header, 8)
        line = (0, *struct.unpack_from('<QqQq', header, 32))
        yield lane, position, spill[at + 64:at + 64 + size], Clock(source, [line])
        at += 64 + size


def record_at(data, at, lane, position):
    """The length of what stands there: of a record, 8 of an end mark, 0 of nothing."""
    if at + 8 > len(data):
        return 0
    length, crc = struct.unpack_from('<II', data, at)
    if length == 0xFFFFFFFF:
        return 8 if crc == crc32c(place(lane, position)) else 0
    if length % 8 or not 24 <= length <= 65536 or at + length > len(data):
        return 0
    if not 1 <= data[at + 22] <= 15:
        return 0
    return length if crc == in_three_strands(place(lane, position), data[at + 8:at + length]) else 0


def records_of(lane, pieces, position):
    for begin, data, clock in sorted(pieces, key=lambda piece: piece[0]):
        position = max(position, begin)
        while position - begin < len(data):
            at = position - begin
            while at < len(data) and not record_at(data, at, lane, begin + at):
                at += 8
            if at >= len(data):
                break
            length = record_at(data, at, lane, begin + at)
            position = begin + at + length
            if length == 8:
                break
            yield begin + at, data[at:at + length], clock


def read_record(folders, lane, position, record, clock):
    ticks, sequence, process, kind, flags = struct.unpack_from('<QIHBB', record, 8)
    result = {'lane': lane, 'position': position, 'sequence': sequence, 'process': process, 'kind': kind,
              'flags': flags, 'ticks': ticks, 'time': clock.to_ns(ticks)}
    payload = record[24:]
    try:
        if flags & 2:
            size, crc, _ = struct.unpack_from('<QII', payload)
            names = [os.path.join(folder, 'large-%d-%d' % (lane, position)) for folder in folders]
            with open(next(name for name in names if os.path.exists(name)), 'rb') as file:
                payload = file.read()
            if len(payload) != size or crc32c(payload) != crc:
                raise ValueError('the file of a large event is not what its record says')
        if kind == 1:
            result['event'] = read_event(payload)
        elif kind == 4:
            result['trace_event'] = read_trace_event(payload)
        elif kind == 2:
            result['process_info'] = read_process(payload)
    except (ValueError, StopIteration) as error:
        result['problem'] = str(error)
    return result


def main(folders):
    lanes, stored = {}, {}
    for folder in folders:
        for name in sorted(glob.glob(os.path.join(glob.escape(folder), 'spill-*'))):
            with open(name, 'rb') as file:
                for lane, *piece in pieces_of_spill(file.read()):
                    lanes.setdefault(lane, []).append(piece)
        name = os.path.join(folder, 'front')
        if os.path.exists(name):
            with open(name, 'rb') as file:
                for lane, *piece in pieces_of_front(file.read(), stored):
                    lanes.setdefault(lane, []).append(piece)
    heads = []
    for lane, pieces in lanes.items():
        records = records_of(lane, pieces, stored.get(lane, 0))
        heads.append([lane, records, next(records, None)])
    while heads := [head for head in heads if head[2]]:
        head = min(heads, key=lambda h: struct.unpack_from('<Q', h[2][1], 8))
        print(json.dumps(read_record(folders, head[0], *head[2])))
        head[2] = next(head[1], None)


if __name__ == '__main__':
    main(sys.argv[1:])
