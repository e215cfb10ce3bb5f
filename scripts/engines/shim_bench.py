"""Measures shims on one containerd, in turn, and prints medians and ratios as a table.

    shim_bench.py SOCKET NAMESPACE ROUNDS ROOTFS TYPE...

TYPE is a runtime type such as io.containerd.runc.v2; the first is what the others are compared with. Memory and threads are
those of all processes of a shim's program together.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from client import Client

SANDBOX = "io.kubernetes.cri.sandbox-id"


def program(runtime):
    """io.containerd.NAME.vN is run by containerd-shim-NAME-vN."""
    return "containerd-shim-" + runtime.removeprefix("io.containerd.").replace(".", "-")


def processes(runtime):
    """Those that were started by its name: the file may have another."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0].decode()) == program(runtime):
            yield directory


def footprint(runtime):
    """RSS and PSS in KiB, and threads."""
    sums = {"Rss": 0, "Pss": 0, "Threads": 0}
    for directory in processes(runtime):
        lines = (directory / "smaps_rollup").read_text() + (directory / "status").read_text()
        for line in lines.splitlines():
            name, _, value = line.partition(":")
            if name in sums:
                sums[name] += int(value.split()[0])
    return sums["Rss"], sums["Pss"], sums["Threads"]


class Bench:
    def __init__(self, socket, namespace, rounds, rootfs, runtimes):
        self.client, self.rounds, self.rootfs, self.runtimes = Client(socket, namespace), rounds, rootfs, runtimes
        self.ctr = ["ctr", "--address", socket, "--namespace", namespace]
        self.results = {}
        self.number = 0

    def name(self):
        self.number += 1
        return f"bench-{self.number}"

    def run_ctr(self, *words):
        subprocess.run([*self.ctr, *words], check=True, stdout=subprocess.DEVNULL)

    def model(self, runtime):
        """A container of the runtime, without a task, that others are made like."""
        name = f"model-{runtime}"
        self.run_ctr("containers", "create", "--runtime", runtime, "--rootfs", self.rootfs, name, "/bin/true")
        return name

    def make(self, runtime, *words, **annotations):
        name = self.name()
        self.client.clone(f"model-{runtime}", name, self.rootfs, list(words), **annotations)
        return name

    def begin(self, name):
        self.client.create(name)
        self.client.start(name)

    def finish(self, name, signal=None):
        if signal:
            self.client.kill(name, signal)
        self.client.wait(name)
        self.client.delete(name)
        self.client.forget(name)

    def measure(self, what, action):
        """Times an action for each runtime in turn, so that what else the machine does meets all alike."""
        for turn in range(self.rounds + 1):
            for runtime in self.runtimes:
                taken = action(runtime)
                # The first turn warms up.
                if turn:
                    self.results.setdefault(what, {}).setdefault(runtime, []).append(taken)

    def run_once(self, runtime):
        begun = time.perf_counter()
        self.run_ctr("run", "--rm", "--runtime", runtime, "--rootfs", self.rootfs, self.name(), "/bin/true")
        return (time.perf_counter() - begun) * 1000

    def live_once(self, runtime, **annotations):
        name = self.make(runtime, "/bin/true", **annotations)
        begun = time.perf_counter()
        self.begin(name)
        self.client.wait(name)
        self.client.delete(name)
        taken = (time.perf_counter() - begun) * 1000
        self.client.forget(name)
        return taken

    def execute_once(self, box):
        process = f"{box}/{self.name()}"
        begun = time.perf_counter()
        self.client.execute(process, ["/bin/true"])
        self.client.start(process)
        self.client.wait(process)
        self.client.delete(process)
        return (time.perf_counter() - begun) * 1000

    def note_footprint(self, what):
        for runtime in self.runtimes:
            for kind, value in zip(("RSS", "PSS", "threads"), footprint(runtime)):
                self.results.setdefault(f"{what}: {kind}", {})[runtime] = [value]

    def run(self):
        for runtime in self.runtimes:
            self.model(runtime)
        self.measure("ctr run --rm of /bin/true", self.run_once)
        self.measure("create, start, wait, delete", self.live_once)
        pods = {runtime: self.make(runtime, "/bin/sleep", "1000", **{SANDBOX: f"pod-{runtime}"}) for runtime in self.runtimes}
        for box in pods.values():
            self.begin(box)
        time.sleep(1)
        self.note_footprint("shim of one idle container")
        self.measure("create, start, wait, delete in a running pod", lambda r: self.live_once(r, **{SANDBOX: f"pod-{r}"}))
        self.measure("exec, start, wait, delete", lambda r: self.execute_once(pods[r]))
        more = []
        for runtime in self.runtimes:
            more += [self.make(runtime, "/bin/sleep", "1000", **{SANDBOX: f"pod-{runtime}"}) for _ in range(4)]
        for box in more:
            self.begin(box)
        time.sleep(1)
        self.note_footprint("shim of a pod of five")
        for box in [*pods.values(), *more]:
            self.finish(box, "KILL")
        for runtime in self.runtimes:
            self.client.forget(f"model-{runtime}")

    def table(self):
        print("| measured | by | median | p95 | times the first |\n|---|---|---:|---:|---:|")
        for what, by_runtime in self.results.items():
            first = statistics.median(by_runtime[self.runtimes[0]])
            for runtime, values in by_runtime.items():
                median = statistics.median(values)
                late = sorted(values)[int(len(values) * 0.95)]
                if what.endswith(("RSS", "PSS")):
                    cells = f"{median / 1024:.1f} MiB | "
                elif what.endswith("threads"):
                    cells = f"{median} | "
                else:
                    cells = f"{median:.1f} ms | {late:.1f} ms"
                label = what if runtime == self.runtimes[0] else ""
                print(f"| {label} | {runtime} | {cells} | {median / first:.2f} |")


bench = Bench(*sys.argv[1:3], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
bench.run()
bench.table()
