"""Rounds: ours, then the peer, and again. Timings wander: each round has its own ratio, and medians are told."""
import dataclasses
import statistics
import typing


@dataclasses.dataclass(frozen=True)
class Kind:
    """How two values compare. `goal` says on which side of the aim a ratio shall be."""
    ratio: typing.Callable
    better: typing.Callable
    goal: str


RATE = Kind(lambda ours, peer: ours / peer, max, "≥")
TIME = Kind(lambda ours, peer: peer / ours, min, "≥")
SIZE = Kind(lambda ours, peer: ours / peer, min, "≤")


def alternate(bench, kind, ours, choose, theirs):
    """Measures both sides in every round; a peer's value is that of its best configuration in that round.

    `ours()` gives a value, the name of what was measured, and further values by name; `choose()` the peer's
    configurations, after ours was measured once, since where that fails the peer is not worth its time;
    `theirs(configuration)` a value and further ones. Of those, medians are kept.
    """
    mine, others, extras, configurations = [], {}, {}, None

    def note(values):
        for key, value in values.items():
            extras.setdefault(key, []).append(value)

    for _ in range(bench.rounds):
        value, name, more = ours()
        mine.append(value)
        note(more)
        configurations = configurations or choose()
        for configuration in configurations:
            value, more = theirs(configuration)
            others.setdefault(configuration.name, []).append(value)
            note({f"{configuration.name}: {key}": value for key, value in more.items()})
    peers = [kind.better(values) for values in zip(*others.values())]
    best = kind.better(others, key=lambda name: statistics.median(others[name]))
    return outcome(
        kind, mine, peers, name, best, extras={key: statistics.median(values) for key, values in extras.items()},
        configurations=others)


def outcome(kind, mine, peers, name, peer_name, extras=None, configurations=None):
    """A row's result: values and ratios round by round, and what they were measured of."""
    return dict(
        ours=mine, peer=peers, ratios=[kind.ratio(a, b) for a, b in zip(mine, peers)], ours_name=name,
        peer_name=peer_name, extras=extras or {}, configurations=configurations or {}, notes=[])
