"""A client of Kubernetes' container runtime interface (CRI), as much of it as the checks need.

    cri.py SOCKET FOLDER COMMAND ARGUMENT...

FOLDER holds what pods are made of, and their logs: FOLDER/POD-ID/CONTAINER.log. Commands:

    pod NAME handler=NAME parent=CGROUP [pid=pod] [KEY=VALUE]...   runs a sandbox in the host's network, with the annotations
                                                        KEY=VALUE; prints its id
    container POD-ID NAME IMAGE [memory=BYTES] [mount=HOST:INSIDE] [KEY=VALUE]... -- PROGRAM ARGUMENT...
                                                        creates a container with annotations; prints its id
    start ID               stop ID SECONDS (prints when it began, in seconds since the machine's start, and ended)
    wait ID                waits for the end of a container by looking again and again; prints as stop does
    remove ID              status ID (prints state, exit code, reason)          pid ID
    exec ID SECONDS PROGRAM ARGUMENT...                 passes output and exit code on
    memory ID              the bytes that stats tell    limit ID BYTES          reopen-log ID
    pod-status POD-ID      stop-pod POD-ID              remove-pod POD-ID

Refusals end it with 1 and the words on standard error.
"""

import json
import os
import sys
import time
from pathlib import Path

from wire import Channel, Refused, decode, number, pairs, text

STATES = ["CREATED", "RUNNING", "EXITED", "UNKNOWN"]
POD, CONTAINER, NODE = 0, 1, 2


class Runtime:
    def __init__(self, socket, folder):
        self.channel = Channel(socket, seconds=90)
        self.folder = Path(folder)

    def call(self, method, fields):
        return self.channel.call(f"runtime.v1.RuntimeService/{method}", fields)

    def namespaces(self, config):
        return [(1, NODE), (2, POD if config["pid"] == "pod" else CONTAINER), (3, POD)]

    def sandbox(self, config):
        """The PodSandboxConfig, which the kubelet sends with every container anew."""
        metadata = [(1, config["name"]), (2, f"uid-{config['name']}"), (3, "default")]
        linux = [(1, config["parent"]), (2, [(1, self.namespaces(config))])]
        logs = str(self.folder / config["name"])
        return [(1, metadata), (3, logs), *pairs(7, config["annotations"]), (8, linux)]

    def pod(self, name, handler, parent, pid=None, **annotations):
        config = {"name": name, "parent": parent, "pid": pid, "annotations": annotations}
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        made = text(self.call("RunPodSandbox", [(1, self.sandbox(config)), (2, handler)]), 1)
        (self.folder / f"{made}.json").write_text(json.dumps(config))
        (self.folder / made).symlink_to(name)
        return made

    def container(self, pod, name, image, program, memory=None, mount=None, **annotations):
        config = json.loads((self.folder / f"{pod}.json").read_text())
        linux = [(2, [(3, self.namespaces(config))])]
        if memory:
            linux.append((1, [(4, int(memory))]))
        fields = [(1, [(1, name)]), (2, [(1, image)]), *((3, word) for word in program)]
        if mount:
            host, inside = mount.split(":")
            fields.append((7, [(1, inside), (2, host)]))
        fields += [*pairs(10, annotations), (11, f"{name}.log"), (15, linux)]
        return text(self.call("CreateContainer", [(1, pod), (2, fields), (3, self.sandbox(config))]), 1)

    def status(self, container):
        status = decode(self.call("ContainerStatus", [(1, container)])[1][0])
        return f"{STATES[number(status, 3)]} {number(status, 7)} {text(status, 10)}"

    def pid(self, container):
        answer = self.call("ContainerStatus", [(1, container), (2, 1)])
        info = {text(entry, 1): text(entry, 2) for entry in map(decode, answer[2])}
        return json.loads(info["info"])["pid"]

    def pod_status(self, pod):
        status = decode(self.call("PodSandboxStatus", [(1, pod)])[1][0])
        return ["READY", "NOTREADY"][number(status, 3)]

    def execute(self, container, seconds, *program):
        fields = [(1, container), *((2, word) for word in program), (3, int(seconds) or None)]
        answer = self.call("ExecSync", fields)
        sys.stdout.write(text(answer, 1))
        sys.stderr.write(text(answer, 2))
        sys.exit(number(answer, 3))

    def memory(self, container):
        stats = decode(self.call("ContainerStats", [(1, container)])[1][0])
        return number(decode(decode(stats[3][0])[2][0]), 1)


def options(words):
    return dict(word.split("=", 1) for word in words)


def clock():
    return Path("/proc/uptime").read_text().split()[0]


def run(runtime, command, first, *rest):
    match command:
        case "pod":
            print(runtime.pod(first, **options(rest)))
        case "container":
            split = rest.index("--")
            print(runtime.container(first, *rest[:2], rest[split + 1 :], **options(rest[2:split])))
        case "start":
            runtime.call("StartContainer", [(1, first)])
        case "stop":
            begun = clock()
            runtime.call("StopContainer", [(1, first), (2, int(rest[0]))])
            print(begun, clock())
        case "wait":
            begun = clock()
            while not runtime.status(first).startswith("EXITED"):
                time.sleep(0.1)
            print(begun, clock())
        case "remove":
            runtime.call("RemoveContainer", [(1, first)])
        case "status" | "pid" | "memory":
            print(getattr(runtime, command)(first))
        case "exec":
            runtime.execute(first, *rest)
        case "limit":
            runtime.call("UpdateContainerResources", [(1, first), (2, [(4, int(rest[0]))])])
        case "reopen-log":
            runtime.call("ReopenContainerLog", [(1, first)])
        case "pod-status":
            print(runtime.pod_status(first))
        case "stop-pod":
            runtime.call("StopPodSandbox", [(1, first)])
        case "remove-pod":
            runtime.call("RemovePodSandbox", [(1, first)])
        case _:
            sys.exit(f"unknown command {command}")


try:
    os.umask(0o022)
    run(Runtime(*sys.argv[1:3]), *sys.argv[3:])
except Refused as error:
    sys.exit(str(error))
