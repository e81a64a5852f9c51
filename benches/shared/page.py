"""Figures on a page of the documentation."""

END = "<!-- to here -->"


def put(path, begin, text):
    """Replaces the text between the marks of a file."""
    before, rest = path.read_text().split(begin, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{begin}\n\n{text}\n{END}{after}")


def table(head, rows):
    """Aligns numbers, in all columns but the first, to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    def line(cells):
        first, *others = cells
        padded = [first.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        return "| " + " | ".join(padded) + " |"
    rule = "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
