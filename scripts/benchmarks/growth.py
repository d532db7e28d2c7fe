"""Memory and time an image, as images grow in number: small JPEGs, whose features are extracted from 1,000 to 100,000
of them.

A point of a curve is a run. The least and the middle count are run in every round, the greatest once, after them in the
first.
"""
import statistics

import alternating

MEMORY_EVERY = 0.1


def curves(bench):
    """Measures what the results lack, and gives the points: network, images, mebibytes, seconds an image."""
    missing = [point for point in plan(bench) if _found(bench, *point) is None]
    if missing:
        import pictures
        folders = pictures.small(bench.place("small"), sorted({count for _, count, _ in missing}))
        for network, count, number in missing:
            bench.say(f"    {network}, {count:,} images")
            bench.results.growth.append(dict(
                network=network, images=count, round=number, **_extract(bench, network, folders[count])))
            bench.results.write()
    return bench.results.growth


def plan(bench):
    counts = bench.counts["growth"]
    small = [("bundled base", count, number) for number in range(bench.rounds) for count in counts
             if number == 0 or count < max(counts)]
    return small + [("ResNet-50", count, 0) for count in bench.counts["growth_resnet50"]]


def _found(bench, network, count, number):
    key = dict(network=network, images=count, round=number)
    return next((point for point in bench.results.growth if key.items() <= point.items()), None)


def _extract(bench, network, folder):
    base = ["--base", bench.network() + ".h5"] if network == "ResNet-50" else []
    run = bench.finetune(
        "extract", *base, "--data", folder, "--out", bench.place("features.npy"), "--json", memory_every=MEMORY_EVERY)
    return dict(
        mebibytes=run.peak_mebibytes, seconds_per_image=run.result["seconds"]["features"] / run.result["images"],
        precision=run.result["precision"])


def measured(quantity, factor):
    """The `measure` of a row: a quantity at the greatest count beside that at the least, by the bundled base."""
    def measure(bench):
        points = [point for point in curves(bench) if point["network"] == "bundled base"]
        counts = bench.counts["growth"]

        def values(count):
            return [point[quantity] * factor for point in points if point["images"] == count]
        least = values(min(counts))
        greatest = [statistics.median(values(max(counts)))] * len(least)
        row = alternating.outcome(
            alternating.SIZE, greatest, least, f"finetune {points[0]['precision']}, {max(counts):,} images",
            f"itself, {min(counts):,} images")
        row["notes"].append(f"{max(counts):,} images were run once, {min(counts):,} in every round.")
        return row
    return measure
