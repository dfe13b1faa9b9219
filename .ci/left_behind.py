"""Find processes that a run left behind: python3 left_behind.py VARIABLE=VALUE SECONDS.

Whatever the run started has that variable in its environment. Its own shells, which started this script, are left out.
Waits up to SECONDS for them to end; exit code 1 and one line for each that hasn't.
"""

import os
import sys
import time


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read()
    except OSError:  # it has ended
        return b""


def ancestors():
    pid, found = os.getpid(), set()
    while pid > 1:
        found.add(pid)
        stat = read(pid, "stat").decode(errors="replace")
        pid = int(stat.rsplit(")", 1)[1].split()[1]) if stat else 0
    return found


def left(mark):
    own = ancestors()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in own or mark not in read(entry, "environ").split(b"\0"):
            continue
        command = read(entry, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        if command:  # a zombie has none
            yield f"{entry} {command}"


def main():
    mark, deadline = sys.argv[1].encode(), time.monotonic() + float(sys.argv[2])
    while found := list(left(mark)):
        if time.monotonic() >= deadline:
            print("processes were left behind:", *found, sep="\n  ", file=sys.stderr)
            sys.exit(1)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
