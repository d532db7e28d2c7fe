// Tensors on their way from a file's names to a network's: every one is accounted for, on both sides, in one error.

internal import FinetuneEngine
internal import FinetuneModels

/// The tensors of a file under the names that the network gives them.
struct TensorTable {
    struct Entry {
        /// The tensor in our layout, nil where the file's could not be read.
        var tensor: Tensor?
        /// The file's own name for it.
        var fileName: String
        var problem: String?
    }

    private(set) var entries: [String: Entry] = [:]
    /// Tensors of the file that mean nothing to its dialect.
    var strangers: [String] = []
    /// What the file would call one of our names, for those that are missing.
    var fileName: (String) -> String = { $0 }

    mutating func add(_ name: String, _ tensor: Tensor?, fileName: String, problem: String? = nil) {
        if let earlier = entries[name] {
            strangers.append("\(fileName) (it means the same as \(earlier.fileName))")
        } else {
            entries[name] = Entry(tensor: tensor, fileName: fileName, problem: problem)
        }
    }

    /// Forgets all tensors but those that `isNeeded` names.
    mutating func keep(_ isNeeded: (String) -> Bool) { entries = entries.filter { isNeeded($0.key) } }

    /// Takes the ones at the end off the shape of a dense layer's weight that was saved as a 1×1 convolution's.
    mutating func flatten(_ name: String) {
        guard let tensor = entries[name]?.tensor, tensor.shape.count == 4, tensor.shape[2...] == [1, 1] else { return }
        entries[name]?.tensor = tensor.reshaped(Array(tensor.shape[..<2]))
    }

    /// Takes out the tensors that `isUnwanted` names.
    mutating func remove(where isUnwanted: (String) -> Bool) -> [String: Entry] {
        let removed = entries.filter { isUnwanted($0.key) }
        entries = entries.filter { removed[$0.key] == nil }
        return removed
    }

    /// Gives a tensor another shape of as many values.
    mutating func reshape(_ name: String, _ shape: [Int]) {
        guard let tensor = entries[name]?.tensor, tensor.shape.reduce(1, *) == shape.reduce(1, *) else { return }
        entries[name]?.tensor = tensor.reshaped(shape)
    }

    /// Brings a tensor's axes into another order.
    mutating func transpose(_ name: String, _ axes: [Int]) {
        guard let tensor = entries[name]?.tensor, tensor.shape.count == axes.count else { return }
        entries[name]?.tensor = tensor.transposed(axes)
    }

    func shape(_ name: String) -> [Int]? { entries[name]?.tensor?.shape }

    /// The weights of `network`, each tensor checked for shape and for values that no network has.
    ///
    /// - Parameter areVerified: Whether checksums showed that the values are those that this program wrote, which checked
    ///   them then.
    /// - Throws: One `CheckpointError` with everything that is missing, superfluous, misshapen or broken.
    func weights(for network: Network, path: String, areVerified: Bool = false) throws -> Weights {
        var weights: Weights = [:]
        var faults: [(name: String, fault: String)] = []
        let expected = network.tensors
        let known = Set(expected.map(\.name))
        let extra = entries.filter { !known.contains($0.key) }
        let unexpected = extra.values.map(\.fileName) + strangers
        for (name, spec) in expected {
            guard let entry = entries[name] else {
                let wanted = fileName(name)
                faults.append((wanted, "is missing\(nearest(wanted, among: unexpected))"))
                continue
            }
            guard let tensor = entry.tensor else {
                faults.append((entry.fileName, entry.problem ?? "cannot be read"))
                continue
            }
            guard tensor.shape == spec.shape else {
                faults.append(
                    (entry.fileName, "has the shape \(tensor.shape), \(spec.shape) was expected in a \(network.name)"))
                continue
            }
            if !areVerified, let fault = Self.fault(in: tensor, isVariance: spec.role == .runningVariance) {
                faults.append((entry.fileName, fault))
            }
            weights[name] = tensor
        }
        faults += extra.values.map { ($0.fileName, $0.problem ?? "has no place in a \(network.name)") }
            .sorted { $0.0 < $1.0 }
        faults += strangers.sorted().map { ($0, "has no place in a \(network.name)") }
        guard faults.isEmpty else {
            throw CheckpointError.cannotLoad(path, "\(Self.words(faults)). Try: finetune inspect --tensors '\(path)'")
        }
        return weights
    }

    /// All faults in one sentence; tensors with the same fault share their words.
    private static func words(_ faults: [(name: String, fault: String)]) -> String {
        var kinds: [(fault: String, names: [String])] = []
        for (name, fault) in faults {
            if let index = kinds.firstIndex(where: { $0.fault == fault }) {
                kinds[index].names.append(name)
            } else {
                kinds.append((fault, [name]))
            }
        }
        let shown = kinds.prefix(8).map { kind in
            let names = kind.names.prefix(6).map { "'\($0)'" }.joined(separator: ", ")
            let rest = kind.names.count > 6 ? " and \(kind.names.count - 6) more" : ""
            return "\(names)\(rest)\(kind.names.count > 1 ? ": each" : "") \(kind.fault)"
        }
        let rest = kinds.dropFirst(8).reduce(0) { $0 + $1.names.count }
        return shown.joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }

    private func nearest(_ name: String, among names: [String]) -> String {
        let candidates = names.filter { Self.distance($0, name) <= 2 }
        return candidates.min().map { " (there is '\($0)')" } ?? ""
    }

    /// Levenshtein's distance, cut off at 3.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        guard abs(a.count - b.count) <= 2 else { return 3 }
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
                (diagonal, row[j + 1]) = (row[j + 1], cost)
            }
        }
        return row[b.count]
    }

    private static func fault(in tensor: Tensor, isVariance: Bool) -> String? {
        guard tensor.isFinite else { return "holds numbers that are not finite" }
        guard isVariance else { return nil }
        let least = tensor.values.reduce(.infinity, Float.minimum)
        return least < 0 ? "holds the negative variance \(least)" : nil
    }
}
