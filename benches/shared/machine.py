"""The machine that figures were measured on."""

import os
import re
from pathlib import Path

LOAD_BEFORE = os.getloadavg()[0]


def machine():
    def first(path, pattern):
        try:
            found = re.search(pattern, Path(path).read_text())
            return found.group(1).strip() if found else "unknown"
        except OSError:
            return "unknown"
    return {
        "processor": first("/proc/cpuinfo", r"model name\s*:\s*(.*)"),
        "processors": len(os.sched_getaffinity(0)),
        "memory": int(first("/proc/meminfo", r"MemTotal:\s*(\d+)")) * 1024,
        "system": first("/etc/os-release", r'PRETTY_NAME="(.*)"'),
        "kernel": os.uname().release,
        "load_before": LOAD_BEFORE,
        "load_after": os.getloadavg()[0],
    }


def sentence(it):
    return (
        f"{it['processor']}, {it['processors']} processors, {it['memory'] / 2**30:.0f} GiB of memory, {it['system']}, "
        f"Linux {it['kernel']}; load {it['load_before']:.1f} before and {it['load_after']:.1f} after the run."
    )
