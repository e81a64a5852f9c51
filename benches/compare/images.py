"""The content of locks, OCI layouts and directories."""

import json
import re
from collections import namedtuple

Package = namedtuple("Package", "name file size unpacked data")
Lock = namedtuple("Lock", "world packages")
Descriptor = namedtuple("Descriptor", "digest size")
Image = namedtuple("Image", "manifest config layers")


def locked_packages(path):
    """A lock's world, and the sizes of its packages for comparison."""
    text = path.read_text()
    world = re.findall(r"(?m)^world (\S+)$", text)
    packages = []
    for block in re.split(r"(?m)^package ", text)[1:]:
        name, *lines = block.splitlines()
        fields = dict(line.strip().split(" ", 1) for line in lines if " " in line.strip())
        data = "sha256:" + fields["data"].split()[2]
        packages.append(Package(name, fields["file"], int(fields["size"]), int(fields["unpacked"]), data))
    return Lock(world, packages)


def tree_bytes(directory):
    """Bytes of the files below a directory; a file with several names counts once."""
    files = {(stat.st_dev, stat.st_ino): stat.st_size
             for stat in (path.lstat() for path in directory.rglob("*") if path.is_file() and not path.is_symlink())}
    return sum(files.values())


class Layout:
    """The images of one or more OCI layouts, by name."""

    def __init__(self, directories):
        self.images = {}
        for directory in directories:
            index = json.loads((directory / "index.json").read_bytes())
            for entry in index["manifests"]:
                blob = json.loads(self.blob(directory, entry["digest"]))
                if "manifests" in blob:  # an index of architectures: there is one
                    entry = blob["manifests"][0]
                    blob = json.loads(self.blob(directory, entry["digest"]))
                name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name", directory.name)
                layers = [descriptor(layer) for layer in blob["layers"]]
                self.images[name.split(":")[0]] = Image(descriptor(entry), descriptor(blob["config"]), layers)

    @staticmethod
    def blob(directory, digest):
        return (directory / "blobs" / digest.replace(":", "/")).read_bytes()

    def digests(self):
        return {name: image.manifest.digest for name, image in self.images.items()}

    def blobs(self):
        """Sizes by digest, each blob once."""
        return {blob.digest: blob.size for image in self.images.values()
                for blob in [image.manifest, image.config, *image.layers]}

    def image_sizes(self, name, verbatim):
        """The facts about one image; `verbatim` are the digests of its packages' data members."""
        layers = self.images[name].layers
        return {
            "bytes": sum(layer.size for layer in layers),
            "layers": len(layers),
            "top_layer": layers[-1].size,
            "verbatim": sum(layer.size for layer in layers if layer.digest in verbatim),
            "verbatim_layers": sum(layer.digest in verbatim for layer in layers),
        }

    def changes(self, after):
        """By image, the layers that it didn't have before, and their bytes; also the bytes of all new blobs."""
        def of(name):
            before = {layer.digest for layer in self.images[name].layers}
            new = [layer for layer in after.images[name].layers if layer.digest not in before]
            return {"layers": len(new), "bytes": sum(layer.size for layer in new)}
        known = self.blobs()
        new = {digest: size for digest, size in after.blobs().items() if digest not in known}
        return {"images": {name: of(name) for name in self.images}, "new_blobs": len(new), "new_bytes": sum(new.values())}


def descriptor(value):
    return Descriptor(value["digest"], value["size"])
