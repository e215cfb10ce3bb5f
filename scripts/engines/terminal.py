"""Runs a command on a terminal of its own and talks to it.

    terminal.py ROWS COLUMNS STEP... -- COMMAND...

A step is `expect=TEXT` (waits until the output holds TEXT beyond what earlier steps have found), `send=TEXT` (types TEXT
and a return), `raw=TEXT` (types TEXT alone; \\xNN means a byte), `size=ROWSxCOLUMNS`, or `end` (waits for the command to end;
the last step that is implied). Prints what the command wrote and ends with its exit code; 124 when a step waits for more
than 20 seconds, with what was waited for on standard error.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 20.0


class Terminal:
    def __init__(self, rows, columns, command):
        self.output = b""
        self.found = 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def give_up(self, wanted):
        sys.stdout.buffer.write(self.output)
        sys.stdout.flush()
        print(f"\nwaited {PATIENCE:.0f} s for {wanted}", file=sys.stderr)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit(124)

    def read(self, deadline, wanted):
        """Reads some output; false at its end."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.master], [], [], left)[0]:
            self.give_up(wanted)
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.output += data
        return bool(data)

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE
        told = time.monotonic()
        while (at := self.output.find(text, self.found)) < 0:
            # A client that only began to look at its size after the change has missed the signal of it.
            if time.monotonic() - told > 1:
                told = time.monotonic()
                os.kill(self.pid, signal.SIGWINCH)
            if not self.read(deadline, repr(text)):
                sys.stdout.buffer.write(self.output)
                sys.stdout.flush()
                print(f"\nended before {text!r}", file=sys.stderr)
                sys.exit(124)
        self.found = at + len(text)

    def end(self):
        deadline = time.monotonic() + PATIENCE
        while self.read(deadline, "the end"):
            pass
        sys.stdout.buffer.write(self.output)
        sys.stdout.flush()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main(arguments):
    split = arguments.index("--")
    terminal = Terminal(int(arguments[0]), int(arguments[1]), arguments[split + 1 :])
    for step in arguments[2:split]:
        kind, _, text = step.partition("=")
        if kind == "expect":
            terminal.expect(text.encode())
        elif kind == "send":
            os.write(terminal.master, text.encode() + b"\r")
        elif kind == "raw":
            for byte in text.encode().decode("unicode_escape").encode("latin-1"):
                # As a person would: an engine looks for its detach keys only in bytes that come one by one.
                time.sleep(0.1)
                os.write(terminal.master, bytes([byte]))
        elif kind == "size":
            rows, columns = text.split("x")
            terminal.resize(int(rows), int(columns))
        else:
            sys.exit(f"unknown step {step}")
    sys.exit(terminal.end())


main(sys.argv[1:])
