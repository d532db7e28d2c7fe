"""The page of a run: every figure in it comes from the results. What is outside of the two markers is left alone."""
import datetime
import os
import statistics

import rows as table

BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"
PICTURE = "performance.svg"
INTRODUCTION = """\
# Performance

What the program takes beside those that do the same work, on one machine, all of it measured by one command.

## Overview

```
scripts/bench
```

measures every row below, both sides in the same run, and writes this page. Rounds alternate: finetune, then the peer,
and again; a value is the median of the rounds, and a ratio is the median of the rounds' ratios, with the least and the
greatest. Both sides have the same number of threads, the same weights (random, of a ResNet-50's shape, which cost what
learned ones do) and the same images. A peer is tried in every configuration that its users would try (batches of 16 and
32; 0, 1 and 2 loading processes; fp32 and bf16), and measured in those that are best.

Ready tensors are measured by processor time of the network alone, so that neither files nor other processes count; all
else by the clock. `extract`, `train` and `predict` are whole processes from start to end, and so are their peers; where
PyTorch trains for many epochs it runs a few, and its other epochs are taken to last as long. Memory is that of all
processes of a side together, loading processes included, with shared pages counted once.

`scripts/bench --data FOLDER` measures on your images, which have `train/` and `val/` with a folder a class; `--quick`
tries the whole on few images; `scripts/bench --help` has the rest.

"""


def write(path, results, machine, versions):
    """Puts the table and the picture's place between the markers, in a new page where there is none."""
    text = INTRODUCTION + BEGIN + END + "\n"
    if os.path.exists(path):
        with open(path) as file:
            text = file.read()
    put(path, text, body(results, machine, versions))


def write_summary(path, results, machine):
    """Puts the rows beside PyTorch between the markers of a page that is there."""
    with open(path) as file:
        text = file.read()
    put(path, text, summary(results, machine))


def put(path, text, part):
    """Writes the text with what stands between the markers replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(
            f"scripts/bench: '{path}' lacks the lines '{BEGIN}' and '{END}', in this order and once each.")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with open(path + ".new", "w") as file:
        file.write(f"{before}{BEGIN}\n\n{part}\n{END}{after}")
    os.replace(path + ".new", path)


def summary(results, machine):
    counts = results.identity["counts"]
    lines = [f"| {machine['name']} ({', '.join(machine['features'])}), {results.identity['threads']} threads "
             "| finetune | PyTorch | ratio |", "| --- | ---: | ---: | ---: |"]
    for row in table.ROWS:
        result = results.rows.get(row.key, {"failed": "not measured"})
        if "failed" not in result and "PyTorch" in result["peer_name"]:
            ours, peer = result["ours"], result["peer"]
            how_peer = result["peer_name"].removeprefix("Python with ").removeprefix("PyTorch ")
            lines.append(f"| {table.work(row, counts)} | {amount(ours)} {row.unit} | {amount(peer)} {row.unit} ({how_peer}) "
                         f"| {statistics.median(result['ratios']):.2f} |")
    return "\n".join(lines) + "\n"


def body(results, machine, versions):
    counts = results.identity["counts"]
    measured = [(row, results.rows[row.key]) for row in table.ROWS if row.key in results.rows]
    lines = [
        "## Figures", "",
        f"{datetime.date.today():%-d %B %Y}; {machine['name']} "
        f"({', '.join(machine['features']) or 'no wide instructions'}), "
        f"{machine['cores']} cores, {machine['memory_gib']:.0f} GiB; {results.identity['threads']} threads a side, "
        f"{data(results.identity)}.",
        "", ", ".join([commits(measured)] + [
            f"{name} {version}" for name, version in versions.items() if name != "finetune"]) + ".", ""]
    if not machine["native_bf16"]:
        lines += ["This processor does not compute bf16 natively: finetune's default precision is fp32 here.", ""]
    lines += [
        f"![Ratios of finetune to its peers; memory and time an image as images grow in number]({PICTURE})", "",
        "| | work | finetune | peer | ratio | least to greatest | rounds | aim | |",
        "| ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | --- |"]
    notes = []
    for row, result in measured:
        number = table.ROWS.index(row) + 1
        lines.append(f"| {number} | {table.work(row, counts)} | {cells(row, result)} |")
        notes += [f"- {number}: {note}" for note in result.get("notes", [])]
    return "\n".join(lines + [""] + notes) + "\n"


def commits(measured):
    """The commits that were measured, and which rows on each where they are several."""
    rows = {}
    for row, result in measured:
        rows.setdefault(result["commit"], []).append(str(table.ROWS.index(row) + 1))
    if len(rows) == 1:
        return f"finetune {next(iter(rows))}"
    return ", ".join(f"finetune {commit} (rows {', '.join(numbers)})" for commit, numbers in rows.items())


def data(identity):
    counts = identity["counts"]
    if identity["data"] == "generated":
        return f"{counts['train'] + counts['val']} generated JPEGs of 500 × 375 pixels, {counts['train']} to train on"
    return f"photographs of '{os.path.basename(identity['data'])}'"


def cells(row, result):
    if "failed" in result:
        reason = result["failed"].replace("|", "\\|")
        return f"not measured: {reason} | | | | | {row.kind.goal} {row.aim:g} | failed"
    ours, peer, ratios = result["ours"], result["peer"], result["ratios"]
    ratio = statistics.median(ratios)
    reached = ratio >= row.aim if row.kind.goal == "≥" else ratio <= row.aim
    return (
        f"{amount(ours)} {row.unit}{how(result['ours_name'])} | {amount(peer)} {row.unit} ({result['peer_name']}) | "
        f"**{ratio:.2f}** | {min(ratios):.2f} to {max(ratios):.2f} | {len(ratios)} | {row.kind.goal} {row.aim:g} | "
        f"{'reached' if reached else 'not reached'}")


def how(name):
    """What is said of the program's side beside its name, which the column has."""
    said = name.removeprefix("finetune").strip()
    return f" ({said})" if said else ""


def amount(values):
    """A median in three figures, or whole where that is more."""
    value = statistics.median(values)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
