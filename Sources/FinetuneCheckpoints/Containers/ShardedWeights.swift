// State dicts in several files (transformers' `model.safetensors.index.json` and `pytorch_model.bin.index.json`): an index
// names the file of each tensor; the files stand beside it.

internal import FinetuneFiles

enum ShardedWeights {
    private static let maximumIndex = 64 << 20
    private static let maximumShards = 4096

    /// Whether a file's first bytes are those of an index.
    static func matches(_ head: [UInt8], _ path: String) -> Bool {
        path.hasSuffix(".index.json")
            || (head.first == UInt8(ascii: "{") && head.firstRange(of: Array("\"weight_map\"".utf8)) != nil)
    }

    /// Whether a name is that of one file of several.
    static func isPart(_ name: String) -> Bool {
        do { try refusePart(name) } catch { return true }
        return false
    }

    /// Refuses a file that is one of several, by its name, such as `model-00002-of-00005.safetensors`.
    static func refusePart(_ path: String) throws {
        let parts = Path.stem(of: path).split(separator: "-")
        guard parts.count > 3, parts[parts.count - 2] == "of", let count = Int(parts[parts.count - 1]),
            let number = Int(parts[parts.count - 3]), count > 1
        else { return }
        let index = "\(parts.dropLast(3).joined(separator: "-")).\(Path.fileExtension(of: path)).index.json"
        throw CheckpointError.cannotLoad(
            path,
            "it is part \(number) of \(count) of a network. Give the index, '\(index)', or the folder of all parts.")
    }

    /// The index of `path`: the name of each tensor and the file beside it.
    private static func index(_ path: String) throws -> [(tensor: String, file: String)] {
        func fail(_ reason: String) -> CheckpointError {
            .cannotLoad(path, "as an index of sharded weights, \(reason).")
        }
        let json: JSON
        do {
            json = try JSON(parsing: FileSystem.read(path, atMost: maximumIndex))
        } catch let error as JSON.SyntaxError {
            throw fail("it is \(error)")
        }
        guard let members = json["weight_map"]?.members, !members.isEmpty else { throw fail("it has no weight_map") }
        return try members.map { member in
            guard let file = member.value.stringValue, !file.isEmpty, !file.hasPrefix("."), !file.contains("/") else {
                throw fail(
                    "the tensor '\(member.key)' is said to be in \(member.value.text), a file beside the index was expected"
                )
            }
            return (member.key, file)
        }
    }

    /// The files that an index names, in the order of their names.
    static func files(_ path: String) throws -> [String] {
        Set(try index(path).map(\.file)).sorted().map { Path.join(Path.parent(of: path), $0) }
    }

    /// Reads all tensors that an index names.
    ///
    /// - Parameter read: Reads one file.
    static func read(_ path: String, _ read: (String) throws -> NamedArrays) throws -> NamedArrays {
        func fail(_ reason: String) -> CheckpointError {
            .cannotLoad(path, "as an index of sharded weights, \(reason).")
        }
        let entries = try index(path)
        let names = Set(entries.map(\.file)).sorted()
        guard names.count <= maximumShards else { throw fail("it names \(names.count) files") }
        var all: NamedArrays?
        for name in names {
            let file = Path.join(Path.parent(of: path), name)
            guard FileSystem.kind(of: file) == .file else {
                throw CheckpointError.missingPart(
                    path, "its part '\(name)' is not beside it. Download all \(names.count) parts.")
            }
            let part = try read(file)
            for entry in entries where entry.file == name {
                guard part.arrays[entry.tensor] != nil || part.problems[entry.tensor] != nil else {
                    throw fail(
                        "the tensor '\(entry.tensor)' is not in '\(name)', where it should be. Download it again")
                }
            }
            guard var merged = all else {
                all = part
                continue
            }
            for (tensor, entry) in part.arrays {
                guard merged.arrays[tensor] == nil else { throw fail("the tensor '\(tensor)' is in two files") }
                merged.add(tensor, entry.tensor, type: entry.type)
            }
            merged.problems.merge(part.problems) { first, _ in first }
            all = merged
        }
        guard let all else { throw fail("it names no file") }
        return all
    }
}
