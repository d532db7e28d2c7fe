// Which networks a state dict holds: checkpoints keep averages, teachers and copies beside the network that was trained.

internal import FinetuneEngine
internal import FinetuneFiles

/// One network among the names of a file: everything that begins with its prefix.
struct StateDictNetwork {
    /// What stands before every name of the network, dots between its parts, such as `state_dict.module.`.
    let prefix: String
    let names: any StateDictNames
    /// What `--weights-key` calls it.
    fileprivate(set) var key = ""

    /// The parts of the prefix.
    fileprivate var parts: [String] { prefix.split(separator: ".").map(String.init) }

    /// The words that its prefix is made of, in lower case.
    fileprivate var words: Set<String> {
        Set(prefix.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init) + parts.map { $0.lowercased() })
    }
}

extension StateDictNetwork {
    /// Whether a name is nothing of any network: what an optimizer or a schedule keeps.
    static func isTrainingState(_ name: String) -> Bool {
        let top = name.prefix { $0 != "." }.lowercased()
        return ["amp", "opt"].contains(top)
            || ["optim", "sched", "scaler", "loss", "criterion", "metric"].contains { top.contains($0) }
    }
}

/// The networks of a file and the one among them that is read.
struct StateDictNetworks {
    private(set) var all: [StateDictNetwork]

    /// No checkpoint has more; what names thousands is made to cost time.
    static let maximumCount = 64

    /// The name of what has no prefix.
    private static let root = "root"

    /// - Parameter names: All names of the file, dots between their parts.
    /// - Returns: Nil if no family has such names.
    init?(_ names: [String]) {
        let found = Families.all.lazy.map { $0.stateDictNames(in: names) }.first { !$0.isEmpty }
        guard let found else { return nil }
        all = found.map { StateDictNetwork(prefix: $0.key, names: $0.value) }.sorted {
            ($0.parts.count, $0.prefix) < ($1.parts.count, $1.prefix)
        }
        guard all.count <= Self.maximumCount else { return }
        nameKeys()
    }

    /// A network's key is the first part of its prefix that tells it from all others.
    private mutating func nameKeys() {
        for index in all.indices {
            let parts = all[index].parts
            let others = all.indices.filter { $0 != index }.map { all[$0].parts }
            let own = parts.indices.first { place in !others.contains { $0.dropFirst(place).first == parts[place] } }
            all[index].key = own.map { parts[$0] } ?? (parts.isEmpty ? Self.root : parts.joined(separator: "."))
        }
        // Two parts may read alike at different depths.
        for index in all.indices where all.count(where: { $0.key == all[index].key }) > 1 {
            all[index].key = all[index].parts.isEmpty ? Self.root : all[index].parts.joined(separator: ".")
        }
    }

    /// The network to read, and what there is to say about the others.
    ///
    /// - Parameters:
    ///   - wanted: What `--weights-key` names: a key, a whole prefix, or parts of one; nil if it is not given.
    ///   - areEqual: Whether two networks have the same tensors.
    /// - Throws: `CheckpointError` if no network has that name, or if nothing tells which one is meant.
    func chosen(
        by wanted: String?, path: String, areEqual: (StateDictNetwork, StateDictNetwork) -> Bool
    ) throws -> (network: StateDictNetwork, remark: String?) {
        guard all.count <= Self.maximumCount else {
            throw CheckpointError.cannotLoad(
                path, "it names \(all.count) networks, at most \(Self.maximumCount) are read.")
        }
        let list = "it holds \(all.count) networks, \(Self.list(all, "and"))"
        var candidates = all
        if let wanted {
            candidates = all.filter { Self.matches(wanted, $0) }
            if let exact = candidates.first(where: { $0.key == wanted || $0.prefix == wanted + "." }) {
                candidates = [exact]
            }
            guard !candidates.isEmpty else {
                throw all.count > 1
                    ? CheckpointError.cannotLoad(path, "it has no network '\(wanted)' (--weights-key): \(list).")
                    : CheckpointError.needsNoKey(path)
            }
        }
        guard all.count > 1 else { return (all[0], nil) }
        if candidates.count == 1 {
            return (
                candidates[0],
                "The file holds \(all.count) networks. Using '\(candidates[0].key)', as --weights-key says."
            )
        }
        let best = candidates.map(rank).max() ?? 0
        let winners = candidates.filter { rank($0) == best }
        guard winners.count == 1 || winners.dropFirst().allSatisfy({ areEqual(winners[0], $0) }) else {
            throw CheckpointError.cannotLoad(
                path,
                "\(list), and nothing says which one is meant. Choose one with --weights-key: \(Self.list(winners, "or"))."
            )
        }
        let winner = winners[0]
        let others = all.filter { $0.prefix != winner.prefix }
        let why =
            winners.count > 1
            ? "has the same numbers as \(Self.list(Array(winners.dropFirst()), "and"))" : reason(winner)
        return (
            winner,
            "The file holds \(all.count) networks. Using '\(winner.key)' (\(why)). To use another: --weights-key \(others.map(\.key).joined(separator: " or "))."
        )
    }

    private static func list(_ networks: [StateDictNetwork], _ last: String) -> String {
        let keys = networks.map { "'\($0.key)'" }
        guard keys.count > 1 else { return keys.first ?? "" }
        return keys.dropLast().joined(separator: ", ") + " \(last) " + keys[keys.count - 1]
    }

    private static func matches(_ wanted: String, _ network: StateDictNetwork) -> Bool {
        if network.key == wanted { return true }
        if wanted == root { return network.parts.isEmpty }
        let parts = wanted.split { $0 == "." || $0 == "/" }.map(String.init)
        guard !parts.isEmpty else { return network.parts.isEmpty }
        return network.parts.indices.contains { network.parts[$0...].starts(with: parts) }
    }

    /// Whether there are a teacher and a student, or an encoder and its slow copy: such networks give projections.
    var areContrastive: Bool {
        all.count > 1 && all.contains { $0.words.contains("teacher") || !$0.words.isDisjoint(with: Self.followers) }
    }

    // MARK: Which one is meant

    private static let averages: Set = ["ema", "averaged", "swa", "polyak"]
    /// Copies that follow another network and exist for the training's sake.
    private static let followers: Set = ["student", "momentum", "target", "key", "k", "encoder_k"]

    /// Higher for the network that the libraries themselves load.
    private func rank(_ network: StateDictNetwork) -> Int {
        var words = network.words
        // A target follows an online network; in the adaptation to another domain it is something else.
        if !all.contains(where: { $0.words.contains("online") }) { words.remove("target") }
        let (averages, followers) = (Self.averages, Self.followers)
        if !words.isDisjoint(with: averages) { return 3 }
        if words.contains("teacher") { return 2 }
        return words.isDisjoint(with: followers) ? 1 : 0
    }

    private func reason(_ network: StateDictNetwork) -> String {
        switch rank(network) {
        case 3: "the average of the weights, as in timm"
        case 2: "the teacher, as in DINO; after knowledge distillation the student is usually wanted"
        default: "the network that was trained by gradients"
        }
    }
}
