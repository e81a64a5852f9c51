"""Runs the services of a site without containers, from a plan that __main__.py has written.

Each service runs its image's entry point in a directory with the image's files. Namespaces stand in for a machine of
their own: `unshare` has put this program into a new one of mounts, processes, names and the network, so that nothing is
left when it ends. All four services share them; there is no engine, no overlay, no bridge, no limit, no filter of system
calls. This program reads commands, one per line, and answers each with a line.
"""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def mount(*args):
    subprocess.run(["mount", *map(str, args)], check=True)


class Service:
    def __init__(self, plan, work):
        self.plan = plan
        self.name = plan["name"]
        self.root = Path(plan["root"])
        self.log = open(work / f"{self.name}.log", "wb")
        self.ids = self.account()

    def account(self):
        """The user's number, and those of its group and of all groups, as the image's files say."""
        rows = lambda file: [line.split(":") for line in (self.root / "etc" / file).read_text().splitlines()]
        user = self.plan["user"]
        uid, gid = next((int(row[2]), int(row[3])) for row in rows("passwd") if row[0] == user)
        others = [int(row[2]) for row in rows("group") if user in row[3].split(",")]
        return uid, gid, [gid, *others]

    def at(self, path):
        return self.root / path.lstrip("/")

    def mount(self, hosts, resolver):
        """What an engine mounts."""
        (self.root / "etc/hosts").write_text(hosts)
        (self.root / "etc/resolv.conf").write_text(f"nameserver {resolver}\n")
        for name in ("proc", "dev"):
            (self.root / name).mkdir(exist_ok=True)
        mount("-t", "proc", "proc", self.at("/proc"))
        mount("-t", "tmpfs", "-o", "mode=0755,size=64k", "dev", self.at("/dev"))
        for name, numbers in DEVICES.items():
            os.mknod(self.at(f"/dev/{name}"), stat.S_IFCHR | 0o666, os.makedev(*numbers))
            os.chmod(self.at(f"/dev/{name}"), 0o666)
        for name, target in LINKS.items():
            os.symlink(target, self.at(f"/dev/{name}"))
        for path, options in sorted(self.plan["tmpfs"].items()):
            mount("-t", "tmpfs", "-o", options, "tmpfs", self.at(path))
        for source, target in self.plan["binds"]:
            self.bind(Path(source), self.at(target))

    @staticmethod
    def bind(source, target):
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount("--bind", source, target)

    def run(self, command, **options):
        """Starts a command with the service's files, account and environment."""
        def enter():
            os.chroot(self.root)
            os.chdir("/")
            uid, gid, groups = self.ids
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
        return subprocess.Popen(command, env=self.plan["environment"], preexec_fn=enter, **options)

    def start(self):
        self.process = self.run(self.plan["entrypoint"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def wait_until_healthy(self):
        end = time.monotonic() + 120
        while self.run(self.plan["health"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log).wait() != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{self.name} doesn't start: see {self.log.name}")
            time.sleep(0.5)

    def add_users(self, path):
        with open(path, "rb") as users:
            command = ["mariadb", "--defaults-file=/etc/mailimg/my.cnf", "mailserver"]
            if self.run(command, stdin=users, stdout=self.log, stderr=self.log).wait() != 0:
                sys.exit(f"the users can't be added: see {self.log.name}")


def connect(plan):
    """The network: a loopback device, and the link that __main__.py has put here."""
    for command in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{plan['address']}/30", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["route", "add", "default", "via", plan["gateway"]],
    ):
        subprocess.run(["ip", *command], check=True)


def start(services, plan):
    connect(plan)
    for service in services:
        service.mount(plan["hosts"], plan["resolver"])
    for service in services:
        service.start()
        service.wait_until_healthy()
        if service.name == "mysql":
            service.add_users(plan["users"])


def stop(services):
    for service in reversed(services):
        service.process.terminate()
        try:
            service.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            sys.exit(f"{service.name} doesn't stop")


def signal_all(number):
    """All processes of this namespace but this one, its first."""
    os.kill(-1, number)


def main(plan):
    # This process's number outside of its namespace: /proc is still the one from there.
    print(os.readlink("/proc/self"), flush=True)
    socket.sethostname(plan["hostname"])
    mount("-t", "proc", "proc", "/proc")
    services = [Service(service, Path(plan["work"])) for service in plan["services"]]
    commands = {
        "start": ("started", lambda: start(services, plan)),
        "pause": ("paused", lambda: signal_all(signal.SIGSTOP)),
        "resume": ("resumed", lambda: signal_all(signal.SIGCONT)),
        "stop": ("stopped", lambda: stop(services)),
    }
    for line in sys.stdin:
        answer, command = commands[line.strip()]
        command()
        print(answer, flush=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
