"""Copies of an apk repository in which one package has been bumped."""

import hashlib
import io
import os
import re
import shutil
import tarfile
import zlib


class Repositories:
    """`base` is an unchanged copy; `bumped(n)` has another version of one package. All are signed with a key created
    here."""

    def __init__(self, source, work, mailimg, package, arch, run):
        self.source, self.work, self.mailimg, self.package, self.arch, self.run = source, work, mailimg, package, arch, run
        work.mkdir()
        run([mailimg, "repo", "key", "-q", "--name", "bench", "--out", work])
        self.base = self.make("base", None)

    def bumped(self, number):
        directory = self.work / f"bumped-{number}"
        return directory if directory.exists() else self.make(directory.name, number)

    def make(self, name, bump):
        directory = self.work / name
        (directory / "keys").mkdir(parents=True)
        shutil.copy(self.work / "bench.rsa.pub", directory / "keys")
        packages = directory / self.arch
        packages.mkdir()
        for path in (self.source / self.arch).glob("*.apk"):
            link_or_copy(path, packages / path.name)
        if bump is not None:
            (path,) = [path for path in packages.glob("*.apk") if re.fullmatch(rf"{self.package}-\d[^-]*-r\d+\.apk", path.name)]
            name, content = bumped(path.read_bytes(), self.package, bump)
            path.unlink()
            (packages / name).write_bytes(content)
        self.run([self.mailimg, "repo", "index", "-q", "--key", self.work / "bench.rsa", packages])
        return directory


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def bumped(content, package, number):
    """A package with a higher revision and one more file: its name and its bytes."""
    control, data = (inflated(member) for member in members(content))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.getmembers()
        end = archive.offset  # where the blocks begin that end it
    data = compressed(data[:end] + entry(f"usr/share/doc/{package}/bumped", f"{number}\n".encode()) + bytes(1024))

    with tarfile.open(fileobj=io.BytesIO(control)) as archive:
        info = archive.extractfile(".PKGINFO").read().decode()
    version, revision = re.search(r"(?m)^pkgver = (.*)-r(\d+)$", info).groups()
    version = f"{version}-r{int(revision) + number + 1}"
    info = re.sub(r"(?m)^pkgver = .*$", f"pkgver = {version}", info)
    info = re.sub(r"(?m)^datahash = .*$", f"datahash = {hashlib.sha256(data).hexdigest()}", info)
    return f"{package}-{version}.apk", compressed(entry(".PKGINFO", info.encode(), checksum=False)) + data


def entry(name, content, checksum=True):
    """One tar entry without the end of an archive, with the checksum that apk requires."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.uname, info.gname = len(content), 1_750_000_000, "root", "root"
    if checksum:
        info.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(content).hexdigest()}
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


def members(content):
    """The gzip streams of an unsigned package: control and data."""
    while content:
        stream = zlib.decompressobj(31)
        stream.decompress(content)
        length = len(content) - len(stream.unused_data)
        yield content[:length]
        content = stream.unused_data


def inflated(member):
    return zlib.decompress(member, 31)


def compressed(archive):
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    return stream.compress(archive) + stream.flush()
