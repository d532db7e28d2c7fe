"""How features, predictions and their memory are measured: what makes the `measure` of a row, from bench to outcome."""
import statistics

import alternating
import choosing

BATCHES, WORKERS = (16, 32), (0, 1, 2)
MEMORY_EVERY = 0.05  # Seconds between two samples.


def openvino(precisions):
    return [choosing.Configuration("OpenVINO", "openvino_tensors.py", precision, batch)
            for precision, batch, _ in choosing.combinations(precisions, BATCHES, [None])]


def onnxruntime():
    return [choosing.Configuration("ONNX Runtime", "onnxruntime_tensors.py", "fp32", batch) for batch in BATCHES]


def option(precision):
    return ["--precision", precision] if precision else []


def note_precision(bench, row, wanted):
    """Says so where a peer was faster in another precision than the one that is asked beside it."""
    if f" {wanted}" not in row["peer_name"]:
        reason = "" if bench.native_bf16 else ", which does not compute bf16 natively"
        row["notes"].append(f"The peer ran in fp32, not {wanted}: that is its best on this processor{reason}.")
    return row


def tensors(precision, peers, wanted):
    """Images per processor second of the network alone, on inputs that are ready: 224 pixels, fp32, no files.

    Ours is the program's own count of its network's processor seconds; from a program that does not count them, the
    difference of its whole processor time between many images and few, which has reading the archive in it.
    """
    def extract(bench, count):
        run = bench.finetune(
            "extract", "--base", bench.network() + ".h5", "--data", bench.tensors(count), *option(precision), "--out",
            bench.place("features.npy"), "--json")
        return run, run.result.get("cpu_seconds", {}).get("network")

    def ours(bench):
        count, few = bench.counts["tensors"], bench.counts["tensors"] // 4
        run, network = extract(bench, count)
        name = f"finetune {run.result['precision']}"
        if network:
            return count / network, name, {}
        less = extract(bench, few)[0]
        return (count - few) / (run.processor_seconds - less.processor_seconds), name, {"differences": 1}

    def measure(bench):
        def theirs(configuration, count=bench.counts["tensors"], timeout=None):
            return bench.peer(
                configuration.script, "--network", bench.network() + ".onnx", *configuration.flags, "--images", count,
                timeout=timeout)

        def probe(configuration, timeout):
            run = theirs(configuration, bench.counts["tensors"] // 4, timeout)
            return run, run.result["images_per_second"]
        row = alternating.alternate(
            bench, alternating.RATE, lambda: ours(bench),
            lambda: choosing.best(bench, "tensors " + ", ".join(c.name for c in peers), peers, probe),
            lambda configuration: (theirs(configuration).result["images_per_second"], {}))
        if "differences" in row["extras"]:
            row["notes"].append(
                "finetune did not count its network's processor seconds; they are the difference of two whole runs.")
        return note_precision(bench, row, wanted)
    return measure


def torch_configurations(bench, precisions):
    """PyTorch's best configurations for extracting features from files."""
    def probe(configuration, timeout):
        run = bench.peer(
            configuration.script, "--base", bench.network() + ".pth", "--data", bench.data, *configuration.flags,
            "--limit", bench.counts["probe"], timeout=timeout)
        return run, run.result["images_per_second"]
    all_of_them = choosing.torch("torch_extract.py", precisions, BATCHES, WORKERS)
    return choosing.best(bench, "extract " + ", ".join(precisions), all_of_them, probe)


def torch_extract(bench, configuration, **measured):
    return bench.peer(
        configuration.script, "--base", bench.network() + ".pth", "--data", bench.data, *configuration.flags, "--out",
        bench.place("features.npy"), **measured)


def our_extract(bench, precision, **measured):
    return bench.finetune(
        "extract", "--base", bench.network() + ".h5", "--data", bench.data, *option(precision), "--out",
        bench.place("features.npy"), "--json", **measured)


def extract(precision, precisions, wanted):
    """Images a second from JPEG files to a file of features, each side's whole process from start to end.

    The program's int8 run measures its network's ranges first; a second run finds them kept, and is told in a note.
    """
    def ours(bench):
        cache = bench.place("cache")
        run = our_extract(bench, precision, cache=cache)
        images, name = run.result["images"], f"finetune {run.result['precision']}"
        more = {}
        if precision == "int8":
            more["again"] = images / our_extract(bench, precision, cache=cache).seconds
        return images / run.seconds, name, more

    def measure(bench):
        def theirs(configuration):
            run = torch_extract(bench, configuration)
            return run.result["images"] / run.seconds, {"loop": run.result["images_per_second"]}
        row = alternating.alternate(
            bench, alternating.RATE, lambda: ours(bench), lambda: torch_configurations(bench, precisions), theirs)
        loop = row["extras"][row["peer_name"] + ": loop"]
        row["notes"].append(f"Without its start, PyTorch's loop alone does {loop:.1f} images/s.")
        if "again" in row["extras"]:
            row["notes"].append(
                "With what an earlier run kept, its ranges and the features it compared, finetune does "
                f"{row['extras']['again']:.1f} images/s.")
        return note_precision(bench, row, wanted)
    return measure


def memory(bench):
    """Peak mebibytes of each side's processes together, extracting from files; PyTorch in its fastest configuration."""
    def ours():
        run = our_extract(bench, None, memory_every=MEMORY_EVERY)
        return run.peak_mebibytes, f"finetune {run.result['precision']}", {}

    def fastest():
        configurations = torch_configurations(bench, ["fp32"])
        measured = bench.results.rows.get("extract", {}).get("peer_name")
        return [next((c for c in configurations if c.name == measured), configurations[0])]
    return alternating.alternate(
        bench, alternating.SIZE, ours, fastest,
        lambda configuration: (torch_extract(bench, configuration, memory_every=MEMORY_EVERY).peak_mebibytes, {}))


def predict(architecture=None):
    """Seconds from the start of a process to one photograph's label, by the adapted ResNet-50 where no other is named;
    each round's value is the median of a few starts.
    """
    def measure(bench):
        picture, starts = bench.photographs[-1], range(bench.counts["starts"])
        model, state = bench.adapted if architecture is None else (
            bench.network(architecture) + ".h5", bench.network(architecture) + ".pth")
        peer = choosing.Configuration("Python with PyTorch", "torch_predict.py", "fp32")

        def ours():
            return statistics.median(
                bench.finetune("predict", "--model", model, picture, "--json").seconds for _ in starts), "finetune", {}

        def theirs(_):
            return statistics.median(bench.peer(
                peer.script, "--architecture", architecture or "resnet50", "--model", state, "--picture", picture
            ).seconds for _ in starts), {}
        return alternating.alternate(bench, alternating.TIME, ours, lambda: [peer], theirs)
    return measure
