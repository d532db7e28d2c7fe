// What ranks that share a pass over the images tell each other: who is what, and who cannot be read.

package import FinetuneFiles
internal import FinetuneRanks

extension FeatureExtractor {
    /// What a pass for several extractors gave, and what it took.
    package struct Filled: Sendable {
        /// Indices of items that can be read, ascending.
        package let items: [Int]
        package let hashes: [ContentHash]
        package let skipped: [Skipped]
        package let cost: FillCost

        /// - Parameter pieces: Of all ranks, in order.
        init(_ pieces: [FilledPiece], _ extractors: Int, _ ranks: Ranks) {
            items = pieces.flatMap(\.items)
            hashes = pieces.flatMap(\.hashes)
            skipped = pieces.flatMap(\.skipped)
            var cost = FillCost(networks: Array(repeating: ProcessTime(), count: extractors))
            for piece in pieces {
                cost.load += piece.load.divided(by: ranks.count)
                for place in 0..<extractors { cost.networks[place] += piece.networks[place].divided(by: ranks.count) }
            }
            self.cost = cost
        }
    }

    /// What a pass for several extractors took.
    package struct FillCost: Sendable {
        /// Reading and decoding.
        package var load = ProcessTime()
        /// Of each extractor's network.
        package var networks: [ProcessTime]
    }
}

/// A batch of items that was read, and computed where that was missing.
struct FilledPiece: Sendable {
    let number: Int
    let items: [Int]
    let hashes: [ContentHash]
    let skipped: [FeatureExtractor.Skipped]
    let load: ProcessTime
    /// Of each extractor.
    let networks: [ProcessTime]

    /// The pieces of all ranks, in order. Collective.
    static func exchanged(_ pieces: [FilledPiece], _ ranks: Ranks) throws -> [FilledPiece] {
        guard ranks.count > 1 else { return pieces }
        let all = try ranks.gather(Array(JSON.array(pieces.map(\.json)).text.utf8)).flatMap { bytes in
            (try JSON(parsing: bytes).arrayValue ?? []).compactMap(FilledPiece.init)
        }
        return all.sorted { $0.number < $1.number }
    }

    private var json: JSON {
        func numbers(_ time: ProcessTime) -> JSON { JSON([time.seconds, time.processorSeconds]) }
        return [
            "number": .integer(number), "items": JSON(items), "hashes": JSON(hashes.map(\.text)),
            "skipped": .array(skipped.map { JSON([$0.name, $0.reason]) }), "load": numbers(load),
            "networks": .array(networks.map(numbers)),
        ]
    }
}

extension FilledPiece {
    private init?(_ json: JSON) {
        func time(_ json: JSON) -> ProcessTime {
            let numbers = json.arrayValue?.compactMap(\.doubleValue) ?? []
            return ProcessTime(seconds: numbers.first ?? 0, processorSeconds: numbers.last ?? 0)
        }
        guard let number = json["number"]?.intValue, let load = json["load"] else { return nil }
        self.init(
            number: number, items: json["items"]?.arrayValue?.compactMap(\.intValue) ?? [],
            hashes: json["hashes"]?.arrayValue?.compactMap { $0.stringValue.flatMap(ContentHash.init(text:)) } ?? [],
            skipped: (json["skipped"]?.arrayValue ?? []).compactMap { pair in
                let words = pair.arrayValue?.compactMap(\.stringValue) ?? []
                return words.count == 2 ? FeatureExtractor.Skipped(name: words[0], reason: words[1]) : nil
            },
            load: time(load), networks: (json["networks"]?.arrayValue ?? []).map(time))
    }
}

extension ProcessTime {
    /// The same work with its time on the clock shared by so many.
    func divided(by count: Int) -> ProcessTime {
        ProcessTime(seconds: seconds / Double(count), processorSeconds: processorSeconds)
    }
}
