"""A peer at its best: every configuration for a moment on a few images, then the best ones in full."""
import dataclasses

from processes import Failed

NEAR, HOPELESS, KEPT = 0.7, 0.5, 2


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A way to run a peer: its script, its flags, and a name for people."""
    peer: str
    script: str
    precision: str
    batch: int | None = None
    workers: int | None = None

    @property
    def name(self):
        words = [self.precision]
        if self.batch:
            words.append(f"batch {self.batch}")
        if self.workers is not None:
            words.append(f"{self.workers} worker{'s' * (self.workers != 1)}")
        return f"{self.peer} {', '.join(words)}"

    @property
    def flags(self):
        named = (("--precision", self.precision), ("--batch", self.batch), ("--workers", self.workers))
        return [word for flag, value in named if value is not None for word in (flag, value)]


def torch(script, precisions, batches, workers):
    return [Configuration("PyTorch", script, *rest) for rest in combinations(precisions, batches, workers)]


def combinations(precisions, batches, workers):
    return [(precision, batch, count) for precision in precisions for batch in batches for count in workers]


def best(bench, key, configurations, probe):
    """The configurations that are worth measuring, best first: at most two, none below 0.7 of the best at the probe.

    `probe` runs one on a few images (with a timeout in seconds or None) and gives images a second. Once the first of a
    precision comes to less than half of the best, the others of it are left out: such arithmetic is emulated. A choice
    is made once and kept with the results. One that takes more than twice as long as the first is stopped.
    """
    choices = bench.results.choices
    if key not in choices:
        rates, reasons, seconds = {}, {}, None
        left_out = set()
        for configuration in configurations:
            kind = (configuration.peer, configuration.precision)
            if kind in left_out:
                continue
            first = not any((other.peer, other.precision) == kind for other in rates)
            try:
                run, rate = probe(configuration, None if seconds is None else 5 + seconds / HOPELESS)
            except Failed as failure:
                reasons[configuration.name] = str(failure)
                left_out.add(kind)
                continue
            bench.say(f"    probe: {configuration.name}, {rate:.2f} images/s")
            seconds = run.seconds if seconds is None else seconds
            if first and rate < HOPELESS * max(rates.values(), default=0):
                left_out.add(kind)
            rates[configuration] = rate
        if not rates:
            raise Failed("; ".join(dict.fromkeys(reasons.values())))
        order = sorted(rates, key=rates.get, reverse=True)
        kept = [c.name for c in order if rates[c] >= NEAR * rates[order[0]]][:KEPT]
        choices[key] = dict(
            kept=kept, probed={c.name: rate for c, rate in rates.items()}, failed=reasons)
        bench.results.write()
    by_name = {configuration.name: configuration for configuration in configurations}
    return [by_name[name] for name in choices[key]["kept"]]
