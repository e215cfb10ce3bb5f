"""Asks a containerd shim to update a container's limits, which ctr cannot.

    shim_update.py ADDRESS ID RESOURCES

ADDRESS is what a bundle's file of that name holds, RESOURCES the LinuxResources of the OCI runtime specification as JSON.
Speaks ttrpc: a header of ten bytes (length, stream, kind, flags), then a protobuf message.
"""

import socket
import struct
import sys

SERVICE = b"containerd.task.v2.Task"
RESOURCES = b"types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
REQUEST, RESPONSE = 1, 2


def varint(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number, data):
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            sys.exit("the shim closed the connection")
        data += more
    return data


def main(address, container, resources):
    update = field(1, container.encode()) + field(2, field(1, RESOURCES) + field(2, resources.encode()))
    request = field(1, SERVICE) + field(2, b"Update") + field(3, update)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(address.removeprefix("unix://"))
        connection.sendall(struct.pack(">IIBB", len(request), 1, REQUEST, 0) + request)
        length, _, kind, _ = struct.unpack(">IIBB", exactly(connection, 10))
        response = exactly(connection, length)
    # Field 1 of a response is the status, and there only for errors; field 2 is the answer, here an empty one.
    if kind != RESPONSE or response[:1] == b"\x0a":
        sys.exit(f"the shim refused: {response!r}")


main(*sys.argv[1:])
