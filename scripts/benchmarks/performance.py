"""Measures finetune beside the programs that do the same work, both sides in one run, and writes the page of it.

    python performance.py FINETUNE [--rounds 3] [--only TEXT] [--without TEXT] [--quick] [--data FOLDER] [--threads 2]
                          [--keep FILE.json]

The rows are in rows.py. With --keep, rows that the file has are not measured again.
"""
import argparse
import os
import signal
import sys
import tempfile

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARTICLES = os.path.join(REPOSITORY, "Sources", "Finetune", "Finetune.docc")
COUNTS = dict(
    tensors=160, train=240, val=160, probe=64, starts=3, epochs=10, tutorial_epochs=25, peer_epochs=3,
    growth=[1000, 10_000, 100_000], growth_resnet50=[1000, 10_000])
QUICK = dict(
    tensors=32, train=32, val=16, probe=16, starts=1, epochs=2, tutorial_epochs=25, peer_epochs=1,
    growth=[100, 300, 1000], growth_resnet50=[100])


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures finetune beside the programs that do the same work, and writes the "
        "table and the picture of Performance.md.")
    parser.add_argument("finetune", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help="rounds of ours and the peer's (default: 3, with --quick 1)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose key or work has this in it")
    parser.add_argument("--without", metavar="TEXT", help="leave out rows whose key or work has this in it; what an "
                        "earlier run kept of them is still on the page")
    parser.add_argument("--list", action="store_true", help="print the rows, and measure nothing")
    parser.add_argument("--quick", action="store_true", help="few images and one round: whether it works, not how fast")
    parser.add_argument("--data", metavar="FOLDER", help="photographs: train/ and val/ with a folder a class (default: "
                        "generated ones)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side (default: 2)")
    parser.add_argument("--keep", metavar="FILE.json", help="raw results, written after every row; rows that are there "
                        "are not measured again")
    parser.add_argument("--page", metavar="FILE.md", help="the page to write, the picture goes into Resources beside "
                        "it (default: Performance.md of the documentation, with --quick or --only none)")
    options = parser.parse_args()
    options.counts = QUICK if options.quick else COUNTS
    options.rounds = options.rounds if options.rounds is not None else 1 if options.quick else 3
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads take a number of at least 1")
    if options.data:
        options.data = os.path.abspath(options.data)
        for part in ("train", "val"):
            if not os.path.isdir(os.path.join(options.data, part)):
                parser.error(
                    f"'{options.data}' has no folder '{part}'. --data takes train/ and val/ with a folder a class")
    if not options.list and not os.access(options.finetune, os.X_OK):
        parser.error(f"there is no program '{options.finetune}'. Build it with: swift build -c release")
    options.finetune = os.path.abspath(options.finetune)
    if options.page is None and not options.quick and not options.only:
        options.page = os.path.join(ARTICLES, "Performance.md")
    return options


def main():
    options = arguments()
    import rows
    names = {row: f"{row.key} {rows.work(row, options.counts)}" for row in rows.ROWS}
    selected = [row for row, name in names.items()
                if options.only in name and not (options.without and options.without in name)]
    if options.list:
        for row in selected:
            print(f"{row.key:20} {rows.work(row, options.counts)}")
        return
    if not selected:
        sys.exit("scripts/bench: --only and --without leave no row. scripts/bench --list prints them all")
    import machine
    import results
    from processes import Failed
    signal.signal(signal.SIGTERM, stop)
    processor = machine.processor()
    try:
        versions = machine.versions(options.finetune, REPOSITORY)
        kept = results.Results(options.keep, dict(
            processor=processor["name"], versions={name: version for name, version in versions.items()
                                                   if name != "finetune"},
            threads=options.threads, counts=options.counts, data=options.data or "generated"), versions["finetune"])
    except Failed as failure:
        sys.exit(f"scripts/bench: {failure}.")
    measure(options, selected, kept, processor)
    publish(options, kept, processor, versions)
    sys.exit(1 if any("failed" in kept.rows[row.key] for row in selected) else 0)


def stop(*_):
    """Ends in order, so that the folder of a run ends with it; a second signal meanwhile changes nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def measure(options, selected, kept, processor):
    """Measures the rows that the results lack. One that fails says why and stops no other."""
    import rows
    from bench import Bench
    from processes import Failed
    with tempfile.TemporaryDirectory(prefix="finetune-bench-") as folder:
        bench = Bench(options, folder, kept, processor["native_bf16"])
        for row in selected:
            if kept.has(row.key):
                continue
            bench.say(rows.work(row, options.counts))
            try:
                result = row.measure(bench)
                bench.say("    ratios " + ", ".join(f"{ratio:.3f}" for ratio in result["ratios"]))
            except Failed as failure:
                result = dict(failed=str(failure))
                bench.say(f"    not measured: {failure}")
            kept.add(row.key, result)


def publish(options, kept, processor, versions):
    import page
    import plot
    import rows
    print(page.body(kept, processor, versions))
    if not options.page:
        return
    resources = os.path.join(os.path.dirname(os.path.abspath(options.page)), "Resources")
    os.makedirs(resources, exist_ok=True)
    bars = [(rows.work(row, options.counts).replace("`", ""), kept.rows[row.key]["ratios"], row.aim)
            for row in rows.ROWS if kept.has(row.key) and row.kind.goal == "≥"]
    plot.draw(os.path.join(resources, page.PICTURE), bars, kept.growth)
    page.write(options.page, kept, processor, versions)
    if os.path.abspath(options.page) == os.path.join(ARTICLES, "Performance.md"):
        page.write_summary(os.path.join(REPOSITORY, "README.md"), kept, processor)
    print(f"{options.page}\n{os.path.join(resources, page.PICTURE)}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
