"""Much work for a shim at once, or for long.

    load.py SOCKET NAMESPACE COMMAND ARGUMENT...

    terminals ID COUNT JOBS PROGRAM ARGUMENT...
                   runs a program COUNT times on terminals in a container, JOBS at a time; fails unless each time every byte
                   arrives that the program prints when it is run here
    rounds ID COUNT
                   creates, starts, kills and deletes the task of a container over and over; prints the seconds
    crowd ID COUNT ROOTFS
                   runs COUNT containers made like another, in a root folder of the host; all run at the same time before
                   the first is killed
"""

import os
import select
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

from client import Client
from wire import Refused


def read_all(fifo):
    """What comes out of a fifo that was opened before its writer did."""
    received, poll = bytearray(), select.poll()
    poll.register(fifo, select.POLLIN)
    while poll.poll(60_000):
        data = os.read(fifo, 1 << 20)
        if not data:
            return bytes(received)
        received += data
    raise TimeoutError(f"nothing came for a minute, after {len(received)} bytes")


def terminals(client, container, count, jobs, *program):
    expected = subprocess.run(program, capture_output=True, check=True).stdout.replace(b"\n", b"\r\n")

    def one(turn):
        process = f"{container}/terminal-{os.getpid()}-{turn}"
        path = os.path.join(folder, str(turn))
        os.mkfifo(path)
        fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            client.execute(process, list(program), stdout=path, terminal=True)
            client.start(process)
            received = read_all(fifo)
            status = client.wait(process)
            client.delete(process)
        finally:
            os.close(fifo)
        if received != expected or status:
            raise ValueError(f"exec {turn}: {len(received)} of {len(expected)} bytes, status {status}")

    with tempfile.TemporaryDirectory() as folder:
        at_once(int(jobs), one, range(int(count)))


def at_once(jobs, action, arguments):
    """Does an action for each argument in so many threads; the first failure ends the program."""
    pool = ThreadPoolExecutor(jobs)
    try:
        list(pool.map(action, arguments))
    except (Refused, ValueError, TimeoutError, BrokenBarrierError) as error:
        print(error, file=sys.stderr, flush=True)
        # Other threads may still wait for answers.
        os._exit(1)


def end(client, container):
    """Kills a container's task and deletes it."""
    client.kill(container, "KILL")
    status = client.wait(container)
    deleted = client.delete(container)
    if (status, deleted) != (137, 137):
        raise ValueError(f"exit status {status}, {deleted} at the deletion, instead of 137")


def rounds(client, container, count):
    rootfs = client.rootfs(client.container(container))
    begun = time.monotonic()
    for _ in range(int(count)):
        client.create(container, rootfs)
        client.start(container)
        end(client, container)
    print(f"{time.monotonic() - begun:.1f}")


def crowd(client, model, count, rootfs):
    count = int(count)
    running = Barrier(count, timeout=300)

    def one(number):
        name = f"{model}-{number}"
        client.clone(model, name, rootfs, ["sleep", "1000"])
        client.create(name)
        client.start(name)
        running.wait()
        end(client, name)
        client.forget(name)

    at_once(count, one, range(count))


COMMANDS = {"terminals": terminals, "rounds": rounds, "crowd": crowd}
try:
    COMMANDS[sys.argv[3]](Client(*sys.argv[1:3], seconds=300), *sys.argv[4:])
except (Refused, ValueError, TimeoutError) as error:
    sys.exit(str(error))
