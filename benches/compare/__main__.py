#!/usr/bin/env python3
"""Times builds of the project's images: mailimg, apko and the limit, in one run. Started by scripts/bench.

Four situations: warm with nothing changed, warm with one line of mailimg.toml changed, cold with local packages, and
warm with one small package bumped. In each round, every contender runs once in each situation, in an order that
rotates; medians count. Builds are timed as whole processes; the kernel reports their CPU time and peak memory.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import page
import report
from images import Layout, locked_packages, tree_bytes
from machine import machine
from repositories import Repositories

IMAGES = ["mysql", "clamav", "dovecot", "postfix"]
CHANNEL, ARCH = "debian-13", "x86_64"
BUMPED = "zlib1g"  # small, and in all four images
LAYERING = "layering: {strategy: origin, budget: 10}\n"

Sample = namedtuple("Sample", "wall cpu memory")  # seconds, seconds, bytes


class Failed(Exception):
    pass


def run(argv, log):
    """One process from start to end. Forked, not spawned, so that it never shares this one's memory: the kernel
    would count that as its own."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_RDONLY)
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.execve(argv[0], [str(word) for word in argv], ENVIRONMENT)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    if status != 0:
        said = Path(log).read_text(errors="replace")[-2000:]
        raise Failed(f"{' '.join(map(str, argv))}\nended with {os.waitstatus_to_exitcode(status)}:\n{said}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def empty(directory):
    """Truncates files to free their space, except files with another name, which belong to a store, too.

    Nothing is removed before the last build: ext4 without a journal doesn't reuse an inode for a minute, and its long
    search for others would delay the next build that creates files."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1 and os.access(path, os.W_OK):
            os.truncate(path, 0)


def total(samples):
    """The sum for processes that ran one after the other."""
    return Sample(sum(s.wall for s in samples), sum(s.cpu for s in samples), max(s.memory for s in samples))


class Mailimg:
    """A copy of the project in its own directory, with locks for the local repository."""

    def __init__(self, program, source, work, repositories):
        self.program, self.work, self.repositories = program, work, repositories
        self.log = work / "mailimg.log"
        self.project = self.copy(source, "project")
        self.lock(self.project, repositories.base)
        self.warm_store = work / "store"

    def copy(self, source, name):
        project = self.work / name
        project.mkdir()
        shutil.copy(source / "mailimg.toml", project)
        for part in ["recipes", "images", f"apk-locks/{CHANNEL}"]:
            shutil.copytree(source / part, project / part, symlinks=True)
        return project

    def lock(self, project, repository):
        run([self.program, "lock", "-q", "-C", project, "--cache-dir", self.work / "store-of-locks", "--channel", CHANNEL,
             "--repository", f"debian={repository}", "--keys-dir", repository / "keys", "--allow-downgrade"], self.log)

    def build(self, output, project=None, repository=None, store=None, images=()):
        return run([self.program, "build", "-q", "-C", project or self.project, "--cache-dir", store or self.warm_store,
                    "--channel", CHANNEL, "--repository", f"debian={repository or self.repositories.base}",
                    "-o", output, *images], self.log)

    def with_line_changed(self, number):
        """The project with a message size that no build has had."""
        path = self.project / "mailimg.toml"
        text = path.read_text()
        changed, count = re.subn(r"(?m)^message-size = \S+", f"message-size = {26_214_400 + number * 1024}", text)
        if count != 1:
            raise Failed("mailimg.toml has no message-size to change")
        path.write_text(changed)

    def bumped(self, number):
        """A project with locks for the repository whose package was bumped."""
        name = f"project-bumped-{number}"
        path = self.work / name
        if not path.exists():
            self.copy(self.project, name)
            self.lock(path, self.repositories.bumped(number))
        return path


class Apko:
    """One process per image, which is what apko offers. Its cache is keyed by the path of the repository, so that
    path is a link, which points to another directory when a package is bumped."""

    def __init__(self, program, work, repositories, layered, worlds):
        self.program, self.repositories, self.layered = program, repositories, layered
        self.work = work / ("apko-layered" if layered else "apko")
        self.work.mkdir()
        self.log = self.work / "log"
        self.link = self.work / "repository"
        self.warm_cache = self.work / "cache"
        keys = "".join(f"'{self.link}/keys/{key.name}'" for key in (repositories.base / "keys").iterdir())
        for image, world in worlds.items():
            packages = "".join(f"    - '{name}'\n" for name in world)
            text = f"contents:\n  repositories: ['{self.link}']\n  keyring: [{keys}]\n  packages:\n{packages}archs: [{ARCH}]\n"
            (self.work / f"{image}.yaml").write_text(text + (LAYERING if layered else ""))

    def point(self, repository):
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(repository)

    def lock(self, name, repository):
        """Lock files of the images, made with a separate cache, because locking fills it."""
        self.point(repository)
        for image in IMAGES:
            target = self.work / f"{image}.{name}.lock.json"
            if not target.exists():
                run([self.program, "lock", "--cache-dir", self.work / "cache-of-locks", "--output", target,
                     self.work / f"{image}.yaml"], self.log)

    def build(self, output, name="base", repository=None, cache=None):
        self.point(repository or self.repositories.base)
        samples = []
        for image in IMAGES:
            directory = output / image
            directory.mkdir(parents=True)
            samples.append(run([self.program, "build", "--sbom=false", "--vcs=false", "--cache-dir", cache or self.warm_cache,
                                "--lockfile", self.work / f"{image}.{name}.lock.json", self.work / f"{image}.yaml",
                                f"{image}:bench", directory], self.log))
        return total(samples)


class Limit:
    def __init__(self, program, work, mailimg, threads):
        self.program, self.threads, self.log = program, threads, work / "limit.log"
        self.locks = sorted((mailimg.project / "apk-locks" / CHANNEL).glob(f"*.{ARCH}.lock"))
        self.repository = mailimg.repositories.base

    def run(self, work):
        return run([self.program, "--work", work, "--rounds", 1, "--threads", self.threads,
                    "--repository", self.repository, *self.locks], self.log)


class Bench:
    """The contenders, their tasks in each situation, and the results."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.samples, self.layouts, self.changed = {}, {}, {}
        self.cold_store_bytes = {}
        self.directories = 0
        say("repositories: as it is, and once for each round with one package bumped")
        self.repositories = Repositories(args.repository, work / "repositories", args.mailimg, BUMPED, ARCH,
                                         lambda argv: run(argv, work / "index.log"))
        say("locks and warm stores")
        self.mailimg = Mailimg(args.mailimg, args.project, work, self.repositories)
        self.mailimg.build(work / "kept")
        self.layouts["mailimg"] = Layout([work / "kept"])
        locks = self.mailimg.project / "apk-locks" / CHANNEL
        self.locks = {image: locked_packages(locks / f"{image}.{ARCH}.lock") for image in IMAGES}
        self.apkos = {}
        if args.apko:
            for name, layered in [("apko", False), ("apko, layered", True)]:
                worlds = {image: lock.world for image, lock in self.locks.items()}
                apko = self.apkos[name] = Apko(args.apko, work, self.repositories, layered, worlds)
                apko.lock("base", self.repositories.base)
                apko.build(apko.work / "base")
                self.layouts[name] = Layout([apko.work / "base" / image for image in IMAGES])
        self.limit = Limit(args.limit, work, self.mailimg, args.threads) if args.limit else None

    def tasks(self):
        """The situation, the contender, and the function to time, which takes the round's number."""
        yield "warm", "mailimg", lambda n: self.mailimg.build(self.fresh())
        yield "warm", "mailimg, output kept", lambda n: self.mailimg.build(self.work / "kept")
        yield "warm", "mailimg, one process per image", self.one_by_one
        yield "line", "mailimg", self.line_changed
        yield "cold", "mailimg", self.cold
        yield "bump", "mailimg", lambda n: self.mailimg.build(
            self.fresh(), self.mailimg.bumped(n), self.repositories.bumped(n))
        for name, apko in self.apkos.items():
            yield "warm", name, lambda n, apko=apko: apko.build(self.fresh())
            yield "cold", name, lambda n, apko=apko, name=name: self.cold_apko(apko, name)
            yield "bump", name, lambda n, apko=apko: apko.build(
                self.fresh(), f"bumped-{n}", self.repositories.bumped(n))
        if self.limit:
            yield "cold", "limit", lambda n: self.limit.run("inflate")
            yield "cold", "limit, with diff ids", lambda n: self.limit.run("diff-id")
            yield "cold", "limit, zlib", lambda n: self.limit.run("zlib")
            yield "cold", "limit, libdeflate", lambda n: self.limit.run("whole")
            yield "cold", "limit, hashes alone", lambda n: self.limit.run("hash")

    def fresh(self):
        """An output directory that doesn't exist yet."""
        self.output = self.new("output")
        return self.output

    def new(self, name):
        """The path of a directory that doesn't exist yet."""
        self.directories += 1
        return self.work / f"{name}-{self.directories}"

    def one_by_one(self, _):
        output = self.fresh()
        return total([self.mailimg.build(output / image, images=[image]) for image in IMAGES])

    def line_changed(self, number):
        self.mailimg.with_line_changed(number + 1)
        sample = self.mailimg.build(self.fresh())
        self.mailimg.with_line_changed(0)
        return sample

    def cold(self, _):
        store = self.new("cold-store")
        sample = self.mailimg.build(self.fresh(), store=store)
        self.cold_store_bytes["mailimg"] = tree_bytes(store)
        return sample

    def cold_apko(self, apko, name):
        cache = self.new("cold-cache")
        sample = apko.build(self.fresh(), cache=cache)
        self.cold_store_bytes[name] = tree_bytes(cache)
        empty(cache)
        return sample

    def prepare(self, number):
        """Prepares a round, untimed."""
        self.mailimg.bumped(number)
        for apko in self.apkos.values():
            apko.lock(f"bumped-{number}", self.repositories.bumped(number))

    def round(self, number, tasks):
        self.prepare(number)
        for situation, contender, task in tasks:
            os.sync()  # so that this build doesn't wait for earlier output
            self.output = None
            sample = task(number)
            if number > 0:
                self.samples.setdefault((situation, contender), []).append(sample)
            self.check(situation, contender)
            if self.output:
                empty(self.output)

    def check(self, situation, contender):
        """Checks that the expected images were built, and records what changed."""
        if not self.output or contender == "mailimg, one process per image":
            return
        base = self.layouts[contender]
        directories = [self.output] if contender == "mailimg" else [self.output / image for image in IMAGES]
        layout = Layout(directories)
        if situation in ("line", "bump"):
            self.changed[situation, contender] = layout
        elif layout.digests() != base.digests():
            raise Failed(f"{contender}, {situation}: other images than the first time")

    def run(self):
        nothing = [run(["/bin/true"], self.work / "true.log") for _ in range(5)]
        self.nothing = {field: statistics.median(getattr(s, field) for s in nothing) for field in Sample._fields}
        tasks = list(self.tasks())
        for number in range(self.args.rounds + 1):
            say(f"round {number} of {self.args.rounds}" if number else "round to warm up, which doesn't count")
            turn = number * 5 % len(tasks)
            self.round(number, tasks[turn:] + tasks[:turn])

    def results(self):
        packages = {package.file: package for lock in self.locks.values() for package in lock.packages}
        packages_bytes = sum(package.size for package in packages.values())
        times = [
            {"situation": situation, "contender": contender,
             **{field: statistics.median(getattr(s, field) for s in samples) for field in Sample._fields},
             "samples": [s._asdict() for s in samples]}
            for (situation, contender), samples in sorted(self.samples.items())
        ]
        return {
            "machine": machine(),
            "rounds": self.args.rounds,
            "nothing": self.nothing,
            "threads": self.args.threads,
            "packages": {"count": len(packages), "bytes": packages_bytes,
                         "unpacked": sum(package.unpacked for package in packages.values())},
            "times": times,
            "sizes": {name: self.sizes(name, packages_bytes) for name in ["mailimg", *self.apkos]},
            "changes": [{"situation": situation, "contender": contender, **self.layouts[contender].changes(layout)}
                        for (situation, contender), layout in self.changed.items()],
        }

    def sizes(self, name, packages_bytes):
        layout = self.layouts[name]
        blobs = layout.blobs()
        unique = sum(blobs.values())
        verbatim = {image: {package.data for package in lock.packages} for image, lock in self.locks.items()}
        return {
            "store": self.cold_store_bytes.get(name),
            "store_per_packages": self.cold_store_bytes.get(name, 0) / packages_bytes,
            "unique": unique,
            "unique_per_packages": unique / packages_bytes,
            "blobs": len(blobs),
            "images": {image: layout.image_sizes(image, verbatim[image]) for image in IMAGES},
        }


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description="Times builds. Started by scripts/bench, which prepares everything.")
    parser.add_argument("--mailimg", type=Path, required=True, help="the program, a release build")
    parser.add_argument("--apko", type=Path, help="the program; without, apko is left out")
    parser.add_argument("--limit", type=Path, help="benches/limit.rs as a program; without, the limit is left out")
    parser.add_argument("--repository", type=Path, required=True, help="what `mailimg repo import-debian` made")
    parser.add_argument("--project", type=Path, required=True, help="the project with mailimg.toml")
    parser.add_argument("--work", type=Path, required=True, help="the working directory; on disk, because builds sync")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds count, after a first one (default: 5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this file between their marks")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    return parser.parse_args()


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=args.work.resolve()))
    ENVIRONMENT.update(HOME=str(work), TMPDIR=str(work))
    try:
        bench = Bench(args, work)
        bench.run()
        results = bench.results()
    except Failed as error:
        sys.exit(f"error: {error}")
    finally:
        if args.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    text = report.markdown(results)
    print(text)
    if args.markdown:
        page.put(args.markdown, report.BEGIN, text)


ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
if __name__ == "__main__":
    main()
