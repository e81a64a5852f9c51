"""Compares how fast the same daemons take and deliver mail in containers and without. scripts/bench-mail starts it."""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import page
from machine import machine, sentence

HERE = Path(__file__).parent
SERVICES = ["mysql", "clamav", "dovecot", "postfix"]
USER = "bob@bench.test"
# The link to the services without containers, and its two ends. No resolver asks others for names of these addresses.
LINK, CLIENT, BARE = "mailimg-bench", "10.198.18.1", "10.198.18.2"
# Seconds in which a contender that was paused catches up on what was due meanwhile.
SETTLE = 2
BEGIN = "<!-- scripts/bench-mail writes from here -->"


class Failed(Exception):
    """Ends the run with a message."""


def run(*command, **options):
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command[:4]))}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def started(command, **options):
    """A process, which is killed at the end of the block if it still runs, and if this program is killed."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def python(program, *args):
    return [sys.executable, "-B", str(HERE / program), *map(str, args)]


class Load:
    """What is sent in each round."""

    def __init__(self, mails, senders):
        self.mails, self.senders = mails, senders

    def rate(self, address, port, mail):
        """Sends it to an address. `mail` is where all mailboxes are. Returns mails a second."""
        maildir = mail / "bench.test/bob/Maildir/new"
        result = json.loads(run(*python("client.py", address, port, self.mails, self.senders, USER, maildir)))
        if result["errors"]:
            raise Failed(result["errors"][0])
        return self.mails / result["delivered"]


class Site:
    """A site whose images are in the engine."""

    def __init__(self, args):
        self.args = args
        self.directory = args.work / "site"
        self.config = json.loads(self.compose("config", "--format", "json"))
        self.hostname = self.config["services"]["postfix"]["hostname"]

    def compose(self, *command):
        return run("docker", "compose", "--ansi", "never", *command, cwd=self.directory, stdin=subprocess.DEVNULL)

    def mailimg(self, *command, **options):
        return run(self.args.mailimg, "--quiet", "-C", self.directory, *command, **options)


class Containers:
    """The site as its owner runs it."""

    def __init__(self, site):
        self.site = site
        site.mailimg("up")
        site.mailimg("user", "add", USER, "--password-stdin", input="a-Password-of-the-bench\n")
        self.address, self.port = site.compose("port", "postfix", "25").strip().rsplit(":", 1)
        volume = site.config["volumes"]["mail"]["name"]
        self.mail = Path(run("docker", "volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip())
        self.started = self.starts()

    def starts(self):
        ids = self.site.compose("ps", "--all", "--quiet").split()
        return sorted(run("docker", "inspect", "--format", "{{.Name}} {{.State.StartedAt}}", *ids).splitlines())

    def users(self):
        """The users, as SQL."""
        return self.site.compose("exec", "-T", "mysql", "mariadb-dump", "--defaults-file=/etc/mailimg/my.cnf",
                                 "--no-create-info", "mailserver", "virtual_users")

    def resume(self):
        self.site.compose("unpause")

    def pause(self):
        """Even an idle server's health checks take time, which the other one would lack."""
        self.site.compose("pause")

    def rate(self, load):
        return load.rate(self.address, self.port, self.mail)

    def stop(self):
        if self.starts() != self.started:
            raise Failed("a container was restarted meanwhile")


class Bare:
    """The same programs and files without containers. bare.py runs them."""

    def __init__(self, site, users):
        self.site, self.work = site, site.args.work
        plan = self.work / "plan.json"
        plan.write_text(json.dumps(self.plan(users)))
        namespaces = ["--mount", "--net", "--uts", "--pid", "--fork", "--kill-child"]
        self.command = ["unshare", *namespaces, *python("bare.py", plan)]

    def start(self, process):
        self.process = process
        self.connect(process.stdout.readline().strip())
        if self.ask("start") != "started":
            raise Failed("the services don't start without containers; bare.py says why")

    @staticmethod
    def connect(process):
        """Links their network to this one. The link goes with them."""
        run("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", process)
        run("ip", "address", "add", f"{CLIENT}/30", "dev", LINK)
        run("ip", "link", "set", LINK, "up")

    def plan(self, users):
        (self.work / "users.sql").write_text(users)
        return {
            "work": str(self.work),
            "hostname": self.site.hostname,
            "address": BARE,
            "gateway": CLIENT,
            "hosts": f"127.0.0.1 localhost\n{BARE} {self.site.hostname} {' '.join(SERVICES)}\n",
            "resolver": "127.0.0.1",
            "users": str(self.work / "users.sql"),
            "services": [self.service(name) for name in SERVICES],
        }

    def service(self, name):
        service = self.site.config["services"][name]
        root = self.work / name
        image = json.loads(run("docker", "image", "inspect", service["image"]))[0]["Config"]
        self.unpack(service["image"], root)
        secrets = [it["source"] for it in service.get("secrets", [])]
        binds = [[self.site.config["secrets"][secret]["file"], f"/run/secrets/{secret}"] for secret in secrets]
        for volume in service["volumes"]:
            source = volume["source"] if volume["type"] == "bind" else str(self.volume(volume, root))
            binds.append([source, volume["target"]])
        return {
            "name": name,
            "root": str(root),
            "user": image["User"] or "root",
            "entrypoint": image["Entrypoint"],
            "environment": dict(it.split("=", 1) for it in image["Env"]),
            "health": image["Healthcheck"]["Test"][1:],
            "tmpfs": dict(it.split(":", 1) for it in service["tmpfs"]),
            "binds": binds,
        }

    @staticmethod
    def unpack(image, root):
        """The image's files, with owners and modes."""
        root.mkdir()
        container = run("docker", "create", image).strip()
        try:
            export = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
            run("tar", "--extract", "--numeric-owner", "--same-permissions", "--directory", root, stdin=export.stdout)
            if export.wait() != 0:
                raise Failed(f"docker export {image} fails")
        finally:
            run("docker", "rm", "--volumes", container)

    def volume(self, volume, root):
        """A directory for a volume, which begins as what the first image has there."""
        directory = self.work / "volumes" / volume["source"]
        if not directory.exists():
            directory.parent.mkdir(exist_ok=True)
            run("cp", "--archive", root / volume["target"].lstrip("/"), directory)
        return directory

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def resume(self):
        self.ask("resume")

    def pause(self):
        self.ask("pause")

    def rate(self, load):
        return load.rate(BARE, 25, self.work / "volumes/mail")

    def stop(self):
        if self.ask("stop") != "stopped":
            raise Failed("the services without containers don't stop as they should; bare.py says why")


def measure(contenders, load, rounds):
    """Mails a second, by contender and round. The first round, in which each learns to know the client, doesn't count."""
    rates = {name: [] for name in contenders}
    for number in range(rounds + 1):
        order = list(contenders) if number % 2 else list(reversed(contenders))
        for name in order:
            os.sync()
            contenders[name].resume()
            time.sleep(SETTLE)
            rate = contenders[name].rate(load)
            contenders[name].pause()
            say(f"round {number} of {rounds}: {name}: {rate:.1f} mails a second")
            if number > 0:
                rates[name].append(rate)
    return rates


def results(rates, load):
    ratios = [one / other for one, other in zip(rates["containers"], rates["bare"])]
    return {
        "machine": machine(),
        "mails": load.mails,
        "senders": load.senders,
        "rates": rates,
        "ratios": ratios,
        "ratio": statistics.median(rates["containers"]) / statistics.median(rates["bare"]),
    }


def markdown(it):
    """The figures as a table."""
    names = {"containers": "in containers", "bare": "without containers"}
    rows = [[names[name], *(f"{figure(rates):.1f}" for figure in (statistics.median, min, max))]
            for name, rates in it["rates"].items()]
    ratios = it["ratios"]
    rows.append(["ratio of the medians", f"{it['ratio']:.2f}", "", ""])
    rows.append(["ratio, round by round", *(f"{figure(ratios):.2f}" for figure in (statistics.median, min, max))])
    return (
        f"{sentence(it['machine'])} {len(ratios)} rounds of {it['mails']} mails from {it['senders']} clients at a time.\n\n"
        + page.table(["mails a second", "median", "lowest", "highest"], rows) + "\n"
    )


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mailimg", type=Path, required=True, help="the program")
    parser.add_argument("--work", type=Path, required=True, help="a directory with a site; on the engine's file system")
    parser.add_argument("--host", required=True, help="an address of the host that containers can reach")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--senders", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser.parse_args()


def bench(args):
    load = Load(args.mails, args.senders)
    site = Site(args)
    with started(python("name_server.py", args.host)):
        say("starting the containers")
        containers = Containers(site)
        users = containers.users()
        containers.pause()
        say("starting the same services without containers")
        bare = Bare(site, users)
        with started(bare.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            bare.start(process)
            bare.pause()
            rates = measure({"containers": containers, "bare": bare}, load, args.rounds)
            for contender in (bare, containers):
                contender.resume()
                contender.stop()
    return results(rates, load)


def main():
    args = arguments()
    try:
        found = bench(args)
    except Failed as error:
        sys.exit(f"error: {error}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    text = markdown(found)
    print(text)
    if args.markdown:
        page.put(args.markdown, BEGIN, text)


if __name__ == "__main__":
    main()
