"""The figures as tables in Markdown."""

from machine import sentence
from page import table

BEGIN = "<!-- scripts/bench writes from here -->"

SITUATIONS = {
    "warm": "Warm, nothing changed",
    "line": "Warm, one line of `mailimg.toml` changed",
    "cold": "Cold: empty store, packages in a local directory",
    "bump": "Warm, one small package bumped",
}
# The baseline of each line: apko for mailimg's own builds, mailimg for everything else.
APKO = "apko"


def markdown(results):
    parts = [machine(results), times(results), sizes(results), images(results), changes(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def machine(results):
    packages = results["packages"]
    return (
        f"{sentence(results['machine'])} "
        f"{packages['count']} distinct packages in the four images, {mb(packages['bytes'])}, "
        f"{mb(packages['unpacked'])} unpacked. Medians of {results['rounds']} rounds. Starting a process takes "
        f"{seconds(results['nothing']['wall'])}, which every time includes; memory below "
        f"{mb(results['nothing']['memory'])} can't be measured."
    )


def times(results):
    found = {(t["situation"], t["contender"]): t for t in results["times"]}
    rows = []
    for situation, title in SITUATIONS.items():
        names = sorted((name for where, name in found if where == situation), key=order)
        # apko has no configuration to change: its warm build is used.
        apko = found.get((situation, APKO)) or found.get(("warm", APKO))
        ours = found.get((situation, "mailimg"))
        if names:
            rows.append([f"**{title}**", "", "", "", "", ""])
        for name in names:
            it = found[situation, name]
            slower = "" if it is ours or not ours else ratio(it["wall"], ours["wall"])
            faster = ratio(apko["wall"], it["wall"]) if apko and not name.startswith(APKO) else ""
            rows.append([name, seconds(it["wall"]), seconds(it["cpu"]), mb(it["memory"]), slower, faster])
    head = ["four images", "wall", "CPU", "peak memory", "time / mailimg's", "apko's time / this"]
    return "## Times\n\n" + table(head, rows)


def order(name):
    return [name.startswith(start) for start in ("limit", APKO, "mailimg")], len(name), name


def sizes(results):
    rows = [
        [name, mb(it["store"]), f"{it['store_per_packages']:.2f}", it["blobs"], mb(it["unique"]),
         f"{(it['unique_per_packages'] - 1) * 100:+.1f} %"]
        for name, it in results["sizes"].items()
    ]
    head = ["four images", "store after a cold build", "/ packages", "blobs", "distinct bytes", "against packages"]
    return "## Sizes\n\n" + table(head, rows)


def images(results):
    """The table of mailimg's own images."""
    rows = []
    every = results["sizes"]["mailimg"]["images"]
    for image, it in every.items():
        rows.append([image, it["layers"], mb(it["bytes"]), it["verbatim_layers"], share(it["verbatim"], it["bytes"]),
                     kb(it["top_layer"])])
    total = {field: sum(it[field] for it in every.values()) for field in ("layers", "bytes", "verbatim_layers", "verbatim")}
    rows.append(["together", total["layers"], mb(total["bytes"]), total["verbatim_layers"],
                 share(total["verbatim"], total["bytes"]), ""])
    head = ["mailimg's image", "layers", "size", "verbatim layers", "their share of bytes", "top layer"]
    return table(head, rows)


def changes(results):
    rows = []
    for it in results["changes"]:
        if it["situation"] == "line" or it["situation"] == "bump":
            changed = ", ".join(
                f"{image} {of['layers']} ({kb(of['bytes'])})" for image, of in it["images"].items() if of["layers"])
            rows.append([SITUATIONS[it["situation"]], it["contender"], changed or "none", it["new_blobs"], kb(it["new_bytes"])])
    head = ["what changed", "by", "new layers, by image", "new blobs", "new bytes"]
    return "## Changes\n\n" + table(head, rows) if rows else ""


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def mb(value):
    return f"{value / 1e6:.1f} MB"


def kb(value):
    return f"{value / 1e3:.1f} kB" if value < 1e6 else mb(value)


def share(part, whole):
    return f"{part / whole * 100:.1f} %"


def ratio(one, other):
    value = one / other
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
