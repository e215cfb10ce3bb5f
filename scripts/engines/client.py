"""A client of containerd's gRPC interface, for what ctr cannot do or does too slowly.

    client.py SOCKET NAMESPACE COMMAND ARGUMENT... [+ COMMAND ARGUMENT...]...

Does one command after another, as long as none is refused; each prints a line or nothing. A process is named ID for a
container's first and ID/EXEC for another. Commands:

    create ID [stdin=FILE] [stdout=URI] [stderr=URI] [terminal=1]   makes the task of a container; prints its pid
    start PROCESS          kill PROCESS SIGNAL      delete PROCESS (prints the exit status)
    wait PROCESS...        several at once, each by a client of its own; prints the exit statuses, in order
    state PROCESS          prints the status: CREATED, RUNNING, STOPPED, PAUSED
    close-stdin PROCESS    pids ID                  update ID RESOURCES-AS-JSON
    exec ID/EXEC [stdin=..] [stdout=..] [stderr=..] [terminal=1] PROGRAM ARGUMENT...
    life ID [stdin=..] ... creates, starts, waits for and deletes a task; prints the exit status
    clone ID NEW ROOTFS [mount=HOST:INSIDE] [ANNOTATION=VALUE]... -- PROGRAM ARGUMENT...
                           makes a container like another that runs another program in a folder of the host
    forget ID...           removes containers without tasks
    clock -                prints the seconds since the machine's start
    sleep SECONDS

Refusals end it with 1 and containerd's words on standard error.
"""

import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from wire import Channel, Refused, decode, number, text

CONTAINERS = "containerd.services.containers.v1.Containers"
TASKS = "containerd.services.tasks.v1.Tasks"
RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
STATUS = ["UNKNOWN", "CREATED", "RUNNING", "STOPPED", "PAUSED", "PAUSING"]


def split(process):
    container, _, exec_id = process.partition("/")
    return container, exec_id or None


def streams(arguments):
    """Takes the NAME=VALUE words that come first off the arguments."""
    given = {}
    while arguments and arguments[0].partition("=")[0] in ("stdin", "stdout", "stderr", "terminal"):
        name, _, value = arguments.pop(0).partition("=")
        given[name] = value
    return given


class Client:
    def __init__(self, socket, namespace, seconds=60):
        self.address = socket, namespace
        self.channel = Channel(socket, namespace, seconds)

    def tasks(self, method, fields, seconds=None):
        return self.channel.call(f"{TASKS}/{method}", fields, seconds)

    def of(self, method, process, *more):
        container, exec_id = split(process)
        return self.tasks(method, [(1, container), (2, exec_id), *more])

    def container(self, name):
        return decode(self.channel.call(f"{CONTAINERS}/Get", [(1, name)])[1][0])

    def clone(self, name, new, rootfs, program, mount=None, **annotations):
        """Makes a container like another, with a root folder of the host in place of a snapshot."""
        container = self.container(name)
        packed = decode(container[5][0])
        spec = json.loads(packed[2][0])
        spec["root"] |= {"path": rootfs, "readonly": True}
        spec["process"]["args"] = program
        spec["annotations"] = spec.get("annotations", {}) | annotations
        if mount:
            host, inside = mount.split(":")
            spec["mounts"].append({"source": host, "destination": inside, "type": "bind", "options": ["rbind", "rw"]})
        spec["linux"]["cgroupsPath"] = spec["linux"]["cgroupsPath"].removesuffix(name) + new
        fields = [(1, new), (4, container[4][0]), (5, [(1, packed[1][0]), (2, json.dumps(spec))])]
        self.channel.call(f"{CONTAINERS}/Create", [(1, fields)])

    def forget(self, name):
        self.channel.call(f"{CONTAINERS}/Delete", [(1, name)])

    def rootfs(self, container):
        """The mounts of a container's snapshot, as CreateTaskRequest takes them."""
        if not text(container, 7):
            return []
        fields = [(1, text(container, 6)), (2, text(container, 7))]
        answer = self.channel.call("containerd.services.snapshots.v1.Snapshots/Mounts", fields)
        return [(3, mount) for mount in answer.get(1, [])]

    def create(self, name, rootfs=None, **io):
        if rootfs is None:
            rootfs = self.rootfs(self.container(name))
        terminal = 1 if io.get("terminal") else None
        fields = [(4, io.get("stdin")), (5, io.get("stdout")), (6, io.get("stderr")), (7, terminal)]
        return number(self.tasks("Create", [(1, name), *rootfs, *fields]), 2)

    def start(self, process):
        return number(self.of("Start", process), 1)

    def kill(self, process, word):
        return self.of("Kill", process, (3, getattr(signal, f"SIG{word}")))

    def wait(self, process):
        return number(self.of("Wait", process), 1)

    def delete(self, process):
        method = "DeleteProcess" if "/" in process else "Delete"
        return number(self.of(method, process), 3)

    def state(self, process):
        return STATUS[number(decode(self.of("Get", process)[1][0]), 4)]

    def execute(self, process, arguments, **io):
        """Adds a process to a container: the container's own with other arguments."""
        container, exec_id = split(process)
        spec = json.loads(decode(self.container(container)[5][0])[2][0])["process"]
        terminal = bool(io.get("terminal"))
        spec |= {"args": arguments, "terminal": terminal}
        fields = [(2, io.get("stdin")), (3, io.get("stdout")), (4, io.get("stderr")), (5, int(terminal) or None)]
        packed = [(1, PROCESS), (2, json.dumps(spec))]
        self.tasks("Exec", [(1, container), *fields, (6, packed), (7, exec_id)])


def life(client, container, **io):
    client.create(container, **io)
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(client.wait(container)))
    waiting.start()
    client.start(container)
    waiting.join()
    client.delete(container)
    return ended[0]


def wait_for_all(client, processes):
    with ThreadPoolExecutor(len(processes)) as pool:
        return list(pool.map(lambda process: Client(*client.address).wait(process), processes))


def run(client, command, *arguments):
    first = arguments[0]
    match command:
        case "create" | "life":
            action = client.create if command == "create" else lambda name, **io: life(client, name, **io)
            print(action(first, **streams(list(arguments[1:]))))
        case "start" | "delete" | "state":
            print(getattr(client, command)(first))
        case "kill":
            client.kill(*arguments)
        case "wait":
            print(*wait_for_all(client, arguments))
        case "clock":
            print(open("/proc/uptime").read().split()[0])
        case "sleep":
            time.sleep(float(first))
        case "close-stdin":
            client.of("CloseIO", first, (3, 1))
        case "pids":
            print(*(number(decode(process), 1) for process in client.tasks("ListPids", [(1, first)]).get(1, [])))
        case "update":
            client.tasks("Update", [(1, first), (2, [(1, RESOURCES), (2, arguments[1])])])
        case "exec":
            rest = list(arguments[1:])
            io = streams(rest)
            client.execute(first, rest, **io)
        case "clone":
            split = arguments.index("--")
            options = dict(word.split("=", 1) for word in arguments[3:split])
            client.clone(*arguments[:3], list(arguments[split + 1 :]), **options)
        case "forget":
            for name in arguments:
                client.forget(name)
        case _:
            sys.exit(f"unknown command {command}")


def commands(arguments):
    """The commands of a line that joins them by pluses."""
    command = []
    for word in [*arguments, "+"]:
        if word != "+":
            command.append(word)
        elif command:
            yield command
            command = []


def main():
    try:
        connected = Client(*sys.argv[1:3])
        for words in commands(sys.argv[3:]):
            run(connected, *words)
    except (Refused, ValueError, TimeoutError) as error:
        sys.stdout.flush()
        sys.exit(str(error))


if __name__ == "__main__":
    main()
