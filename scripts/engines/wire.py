"""Protobuf messages without their definitions, and gRPC calls with them.

A message to send is a list of (field number, value); a value is a number, a text, bytes, or such a list for a message in
the message. None leaves its field out. A message received is a dictionary: field number to the list of its values, which
are numbers or bytes; `decode` takes those bytes apart where they are a message.
"""

import socket
import threading
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

# gRPC's status codes, in the order of their numbers.
CODES = """OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED
RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS
UNAUTHENTICATED""".split()


def varint(number):
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def encode(fields):
    encoded = b""
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            encoded += varint(number << 3) + varint(value)
            continue
        if isinstance(value, list):
            value = encode(value)
        elif isinstance(value, str):
            value = value.encode()
        encoded += varint(number << 3 | 2) + varint(len(value)) + value
    return encoded


def pairs(number, mapping):
    """The fields of a map of texts."""
    return [(number, [(1, key), (2, value)]) for key, value in mapping.items()]


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def decode(data):
    message, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = read_varint(data, at)
        else:
            if kind == 2:
                length, at = read_varint(data, at)
            else:
                length = {1: 8, 5: 4}[kind]
            value, at = data[at : at + length], at + length
        message.setdefault(key >> 3, []).append(value)
    return message


def number(message, field):
    return message.get(field, [0])[0]


def text(message, field):
    return message.get(field, [b""])[0].decode()


class Refused(Exception):
    """A daemon's refusal: gRPC's status and the daemon's words."""


class Connection:
    """One HTTP/2 connection to a socket, with one call at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()

    def call(self, headers, message):
        stream = self.http.get_next_available_stream_id()
        self.http.send_headers(stream, headers)
        self.http.send_data(stream, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
        told, answer = {}, bytearray()
        while True:
            self.socket.sendall(self.http.data_to_send())
            data = self.socket.recv(1 << 16)
            if not data:
                raise Refused("UNAVAILABLE: the connection was closed")
            for event in self.http.receive_data(data):
                if isinstance(event, (ResponseReceived, TrailersReceived)):
                    told |= dict(event.headers)
                elif isinstance(event, DataReceived):
                    answer += event.data
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, (StreamEnded, StreamReset)):
                    self.socket.sendall(self.http.data_to_send())
                    return told, bytes(answer[5:])


class Channel:
    """A daemon's socket; every thread has a connection of its own."""

    def __init__(self, path, namespace=None, seconds=60):
        self.path, self.namespace, self.seconds = path, namespace, seconds
        self.own = threading.local()

    def call(self, method, fields=(), seconds=None):
        """Calls `package.Service/Method` and returns the answer, decoded."""
        headers = [(":method", "POST"), (":scheme", "http"), (":path", f"/{method}"), (":authority", "localhost")]
        headers += [("content-type", "application/grpc"), ("te", "trailers")]
        if self.namespace:
            headers.append(("containerd-namespace", self.namespace))
        try:
            if not hasattr(self.own, "connection"):
                self.own.connection = Connection(self.path)
            self.own.connection.socket.settimeout(seconds or self.seconds)
            told, answer = self.own.connection.call(headers, encode(fields))
        except OSError as error:
            raise Refused(f"UNAVAILABLE: {method}: {error}") from error
        status = int(told.get("grpc-status", 2))
        if status:
            raise Refused(f"{CODES[status]}: {unquote(told.get('grpc-message', ''))}")
        return decode(answer)
