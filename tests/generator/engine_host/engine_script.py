"""A stand-in for the engine process that uses real frames on the real socket, and misbehaves on request.

Run it as a script: `engine_script.py BEHAVIOUR [ARGUMENT]`. It answers every `Set` with a `Chunk` that repeats the
sequence and the epoch, so that tests see which commands arrived.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from generator.wire.frames import FrameError, read_frame, write_frame
from generator.wire.messages import Chunk, Hello, Imported, Ping, Pong, Ready, Set, decode, encode


def connect(port: int, token: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    write_frame(connection, encode(Hello(token)))
    return connection


def serve(connection: socket.socket, answers_pings: bool = True, importing: float = 0) -> None:
    write_frame(connection, encode(Ready(1)))
    time.sleep(importing)
    write_frame(connection, encode(Imported("cpu")))
    while True:
        command = decode(read_frame(connection))
        if isinstance(command, Ping) and answers_pings:
            write_frame(connection, encode(Pong()))
        if isinstance(command, Set):
            if command.sequence == "poison":
                os._exit(9)
            text = f"{command.sequence}@{command.epoch}"
            write_frame(connection, encode(Chunk(command.sequence, command.epoch, text, (), "none")))


def behave(behaviour: str, argument: str, port: int, token: str) -> None:
    match behaviour:
        case "dies-at-once":
            os._exit(7)
        case "crashes-until-file":
            if not os.path.exists(argument):
                open(argument, "w").close()
                os._exit(7)
        case "never-greets":
            time.sleep(600)
        case "impostors-first":
            impostors(port)
        case "stubborn":
            connect(port, token)
            while True:
                time.sleep(600)
    connection = connect(port, token)
    match behaviour:
        case "garbage":
            write_frame(connection, encode(Ready(1)))
            connection.sendall(struct.pack("!I", 5) + b"{'no}")
        case "oversized":
            write_frame(connection, encode(Ready(1)))
            connection.sendall(struct.pack("!I", 2**31))
        case "talks-commands":
            write_frame(connection, encode(Ready(1)))
            write_frame(connection, encode(Ping()))
        case "mute":
            serve(connection, answers_pings=False)
        case "imports-for":
            serve(connection, importing=float(argument))
        case "deaf":
            write_frame(connection, encode(Ready(1)))
            write_frame(connection, encode(Imported("cpu")))
            while True:
                write_frame(connection, encode(Pong()))
                time.sleep(0.01)
    serve(connection)


def impostors(port: int) -> None:
    """Connect as any process of the machine could. Exit with status 8 unless each connection is closed."""
    for first in (encode(Hello("wrong")), {"kind": "hello"}, encode(Ready(1)), [1, 2]):
        connection = socket.create_connection(("127.0.0.1", port))
        write_frame(connection, first)
        if connection.recv(1) != b"":
            os._exit(8)
    socket.create_connection(("127.0.0.1", port)).close()


def main() -> None:
    boot = json.loads(sys.stdin.readline())
    sys.stdin.close()
    try:
        behave(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "", boot["port"], boot["token"])
    except (FrameError, OSError):
        return  # the server closed the connection


if __name__ == "__main__":
    main()
