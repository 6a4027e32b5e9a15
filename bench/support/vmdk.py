"""A raw disk as the stream a vSphere host sends: what vmdk.write() makes.

The layout is that of Virtual Disk Format 5.0, as ESXi uses it: no directory in the head,
grains of 64 KiB in ascending order, zlib level 1, each table behind its grains.
"""

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

SECTOR, GRAIN, ENTRIES = 512, 64 << 10, 512
OVERHEAD = 128  # sectors before the first grain
TABLE, DIRECTORY, FOOTER, END = 1, 2, 3, 0
JOB = 64  # grains that a thread compresses at once

DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=5eed5eed
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY %d SPARSE "generated-stream.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
"""


def _padded(data):
    return data + bytes(-len(data) % SECTOR)


def _header(capacity, directory):
    fields = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 3, 0x30001, capacity, GRAIN // SECTOR,
                         1, 20, ENTRIES, 0, directory, OVERHEAD, 0, b"\n \r\n", 1)
    return _padded(fields)


def _marker(value, kind):
    return _padded(struct.pack("<QII", value, 0, kind))


def _data_grains(file, size):
    """Numbers of the grains that the file system has data in, ascending."""
    at = number = 0
    while at < size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        at = os.lseek(file, start, os.SEEK_HOLE)
        number = max(number, start // GRAIN)
        while number * GRAIN < at:
            yield number
            number += 1


def _pack(file, numbers):
    """[(number, marker and zlib data)] of those grains that are not empty."""
    packed = []
    for number in numbers:
        raw = os.pread(file, GRAIN, number * GRAIN)
        raw += bytes(GRAIN - len(raw))
        if raw.count(0) != GRAIN:
            data = zlib.compress(raw, 1)
            head = struct.pack("<QI", number * GRAIN // SECTOR, len(data))
            packed.append((number, _padded(head + data)))
    return packed


def _jobs(numbers):
    job = []
    for number in numbers:
        job.append(number)
        if len(job) == JOB:
            yield job
            job = []
    yield job


def _packed(file, size):
    """What _pack() gives, of the whole disk, in order; compressed on all cores."""
    cores = os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        waiting = []
        for job in _jobs(_data_grains(file, size)):
            waiting.append(pool.submit(_pack, file, job))
            if len(waiting) > 2 * cores:
                yield from waiting.pop(0).result()
        for each in waiting:
            yield from each.result()


class _Writer:
    def __init__(self, out, size):
        self.out = out
        self.capacity = size // SECTOR
        self.directory = [0] * -(-size // (GRAIN * ENTRIES))
        self.table, self.table_number = [0] * ENTRIES, None

    def sector(self):
        return self.out.tell() // SECTOR

    def flush_table(self):
        if self.table_number is not None:
            self.out.write(_marker(ENTRIES * 4 // SECTOR, TABLE))
            self.directory[self.table_number] = self.sector()
            self.out.write(struct.pack("<%dI" % ENTRIES, *self.table))
        self.table = [0] * ENTRIES

    def grain(self, number, packed):
        if number // ENTRIES != self.table_number:
            self.flush_table()
            self.table_number = number // ENTRIES
        self.table[number % ENTRIES] = self.sector()
        self.out.write(packed)

    def head(self):
        text = DESCRIPTOR % self.capacity
        head = _header(self.capacity, (1 << 64) - 1) + text
        self.out.write(head + bytes(OVERHEAD * SECTOR - len(head)))

    def tail(self):
        self.flush_table()
        directory = _padded(struct.pack("<%dI" % len(self.directory), *self.directory))
        self.out.write(_marker(len(directory) // SECTOR, DIRECTORY))
        at = self.sector()
        self.out.write(directory)
        self.out.write(_marker(1, FOOTER) + _header(self.capacity, at) + _marker(0, END))


def write(raw, path):
    """Writes the raw file `raw` as the stream-optimised VMDK `path`; returns how many
    grains have data."""
    size, grains = os.path.getsize(raw), 0
    file = os.open(raw, os.O_RDONLY)
    try:
        with open(path + ".part", "wb", buffering=1 << 20) as out:
            writer = _Writer(out, size)
            writer.head()
            for number, packed in _packed(file, size):
                writer.grain(number, packed)
                grains += 1
            writer.tail()
        os.rename(path + ".part", path)
    finally:
        os.close(file)
    return grains
