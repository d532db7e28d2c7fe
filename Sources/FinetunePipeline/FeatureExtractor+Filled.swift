// What a pass over the images gave, and what ranks that share it tell each other: who is what, and who cannot be read.

package import FinetuneFiles
internal import FinetuneRanks

extension FeatureExtractor {
    /// What a pass for several extractors gave, and what it took.
    package struct Filled: Sendable {
        /// Indices of items that can be read, ascending.
        package private(set) var items: [Int] = []
        package private(set) var hashes: [ContentHash] = []
        package private(set) var skipped: [Skipped] = []
        package private(set) var cost: FillCost

        /// Nothing, of so many extractors.
        init(extractors: Int) { cost = FillCost(networks: Array(repeating: ProcessTime(), count: extractors)) }

        /// Some images, all of them prepared or skipped.
        init(_ images: [ImageLoader.Prepared], _ skipped: [Skipped], _ cost: FillCost) {
            items = images.map(\.item)
            hashes = images.map(\.hash)
            self.skipped = skipped
            self.cost = cost
        }

        /// Adds other images, whose time on the clock was shared by so many lanes or ranks.
        mutating func append(_ other: Filled, sharedBy count: Int) {
            items += other.items
            hashes += other.hashes
            skipped += other.skipped
            cost.load += other.cost.load.divided(by: count)
            for place in cost.networks.indices {
                cost.networks[place] += other.cost.networks[place].divided(by: count)
            }
        }

        /// What all ranks found, in the order of items. Collective.
        func exchanged(_ ranks: Ranks) throws -> Filled {
            guard ranks.count > 1 else { return sorted }
            var all = Filled(extractors: cost.networks.count)
            for bytes in ranks.gather(Array(json.text.utf8)) {
                guard let filled = Filled(try JSON(parsing: bytes), extractors: cost.networks.count) else {
                    throw PipelineError.otherVersion
                }
                all.append(filled, sharedBy: ranks.count)
            }
            return all.sorted
        }

        /// In the order of items.
        private var sorted: Filled {
            var sorted = self
            let order = items.indices.sorted { items[$0] < items[$1] }
            (sorted.items, sorted.hashes) = (order.map { items[$0] }, order.map { hashes[$0] })
            sorted.skipped.sort { $0.item < $1.item }
            return sorted
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

extension FeatureExtractor.Filled {
    private var json: JSON {
        [
            "items": JSON(items), "hashes": JSON(hashes.map(\.text)),
            "skipped": .array(
                skipped.map { ["item": .integer($0.item), "name": .string($0.name), "reason": .string($0.reason)] }),
            "load": cost.load.json, "networks": .array(cost.networks.map(\.json)),
        ]
    }

    /// Nil for what another version said, or for a part of it that is not whole.
    private init?(_ json: JSON, extractors: Int) {
        guard let items = json["items"]?.arrayValue?.map(\.intValue),
            let hashes = json["hashes"]?.arrayValue?.map({ $0.stringValue.flatMap(ContentHash.init(text:)) }),
            let skipped = json["skipped"]?.arrayValue?.map(FeatureExtractor.Skipped.init),
            let networks = json["networks"]?.arrayValue?.map(ProcessTime.init),
            let load = json["load"].flatMap(ProcessTime.init),
            items.count == hashes.count, networks.count == extractors
        else { return nil }
        self.init(extractors: extractors)
        self.items = items.compactMap(\.self)
        self.hashes = hashes.compactMap(\.self)
        self.skipped = skipped.compactMap(\.self)
        cost = FeatureExtractor.FillCost(load: load, networks: networks.compactMap(\.self))
        guard self.items.count == items.count, self.hashes.count == hashes.count,
            self.skipped.count == skipped.count, cost.networks.count == networks.count
        else { return nil }
    }
}

extension FeatureExtractor.Skipped {
    fileprivate init?(_ json: JSON) {
        guard let item = json["item"]?.intValue, let name = json["name"]?.stringValue,
            let reason = json["reason"]?.stringValue
        else { return nil }
        self.init(item: item, name: name, reason: reason)
    }
}

extension ProcessTime {
    /// The same work with its time on the clock shared by so many.
    fileprivate func divided(by count: Int) -> ProcessTime {
        ProcessTime(seconds: seconds / Double(count), processorSeconds: processorSeconds)
    }
}
