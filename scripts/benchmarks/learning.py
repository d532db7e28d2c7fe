"""How training is measured, each side from the same folder of JPEG files, reading included."""
import json
import os
import statistics

import alternating
import choosing

WORKERS, BATCH = (0, 1, 2), 16


def ours(bench, *flags):
    """One training: the run, its folder, and what it computed in."""
    folder = bench.place("run")
    run = bench.finetune(
        "train", "--base", bench.network() + ".h5", "--data", bench.data, "--out", folder, "--json", *flags)
    with open(os.path.join(folder, "run.json")) as file:
        record = json.load(file)
    return run, record


def best(bench, unfreeze, precisions):
    def probe(configuration, timeout):
        run = theirs(bench, configuration, unfreeze, 1, "--limit", bench.counts["probe"], timeout=timeout)
        return run, run.result["images_per_second"]
    configurations = choosing.torch("torch_finetune.py", precisions, [BATCH], WORKERS)
    return choosing.best(bench, f"train {unfreeze}", configurations, probe)


def theirs(bench, configuration, unfreeze, epochs, *more, **measured):
    return bench.peer(
        configuration.script, "--base", bench.network() + ".pth", "--data", bench.data, "--unfreeze", unfreeze,
        "--epochs", epochs, *configuration.flags, *more, **measured)


def scaled(run, epochs):
    """Seconds of a whole training of `epochs`: what was outside of epochs as it was, and the median epoch so many
    times.
    """
    each = [sum(pair) for pair in zip(run.result["training_seconds"], run.result["validation_seconds"])]
    return run.seconds - sum(each) + epochs * statistics.median(each), {"epoch": statistics.median(each)}


def whole(unfreeze, precisions, flags, epochs):
    """Seconds from the start of the program to the saved model, nothing kept from before; `epochs` of PyTorch's.

    `epochs` and `flags` are functions of the counts. PyTorch runs a few epochs only; the others take what its median
    one does.
    """
    def measure(bench):
        def mine():
            run, record = ours(bench, *flags(bench.counts))
            return run.seconds, f"finetune {record['precision']}", {"accuracy": run.result["val"]["accuracy"]}
        count, epoch_count = bench.counts["peer_epochs"], epochs(bench.counts)
        row = alternating.alternate(
            bench, alternating.TIME, mine, lambda: best(bench, unfreeze, precisions),
            lambda configuration: scaled(theirs(bench, configuration, unfreeze, count), epoch_count))
        row["notes"].append(
            f"PyTorch ran {count} epoch{'s' * (count != 1)}; its {epoch_count} are its start and {epoch_count} times "
            "the median one.")
        return row
    return measure


def one_epoch(bench):
    """Seconds of an epoch through all of a ResNet-50, with the validation after it; reading and augmenting on both
    sides.
    """
    def mine():
        run, record = ours(
            bench, "--unfreeze", "all", "--epochs", 1, "--batch", BATCH, "--lr", "0.0001", "--early-stop", 0)
        epoch = run.events("epoch")[-1]
        precision = record["steps"]["train-precision"]
        return epoch["train_seconds"] + epoch["val_seconds"], f"finetune {precision}", {"step": epoch["train_seconds"]}

    def peer(configuration):
        result = theirs(bench, configuration, "all", 1).result
        return sum(result["training_seconds"]) + sum(result["validation_seconds"]), {}
    row = alternating.alternate(bench, alternating.TIME, mine, lambda: best(bench, "all", ["fp32", "bf16"]), peer)
    row["notes"].append("Batch norms are frozen on both sides, and reading images is in both times.")
    return row
