// What the frozen part of a network made of images, kept so that it is computed once for all epochs and runs.

package import FinetuneEngine
package import FinetuneFiles
package import FinetuneRanks
internal import Synchronization

/// Rows of numbers by image and view, in memory or in a file. Any number of tasks may use it at once.
///
/// Ranks of one run share a file: the first writes to it, each other one to a file of its own, until `join` puts all
/// together. What a run that was killed did not join, the next one that writes does, whatever its number of ranks.
package final class FeatureStore: Sendable {
    /// How a number is kept.
    package typealias Element = StoredFloat

    /// Numbers a row.
    package let valuesPerRow: Int
    package let element: Element
    private let rows: any FeatureRows
    private let place: Place?
    private let state: Mutex<State>

    /// Where the files of a store are.
    private struct Place {
        let cache: FeatureCache
        let key: ContentHash
    }

    /// Which rows are where.
    fileprivate struct State {
        var slots: [FeatureName: Int] = [:]
        /// Slots before `end` whose rows nobody wants.
        var unused: [Int] = []
        /// The first slot behind all others.
        var end = 0
        var failure: String?

        mutating func hold(_ name: FeatureName, at slot: Int) {
            // What was there first stays: somebody may be reading it.
            if slots[name] == nil { slots[name] = slot } else { unused.append(slot) }
        }

        mutating func find(in records: FeatureRecords, from first: Int = 0) {
            records.findRecords(from: first) {
                hold($0, at: $1)
                end = $1 + 1
            }
        }
    }

    /// Keeps rows in memory, for this run alone.
    package init(inMemory valuesPerRow: Int, element: Element) {
        self.valuesPerRow = valuesPerRow
        self.element = element
        rows = FeatureMemory(valuesPerRow, element)
        place = nil
        state = Mutex(State())
    }

    /// Keeps rows in a file of the cache's folder, which is named after `key`, and finds those of earlier runs.
    ///
    /// A file that another version wrote, or that is damaged, is replaced. Where another run is writing to it, this one
    /// reads what is there and keeps nothing.
    ///
    /// - Parameters:
    ///   - key: Hash of everything that determines the values: weights, node, precision, recipe.
    ///   - ranks: Those that share the file. Collective.
    /// - Throws: `FileError` where the folder or the file cannot be made or opened; `PipelineError` where another rank
    ///   made it and this one cannot see it.
    package init(
        _ cache: FeatureCache, key: ContentHash, valuesPerRow: Int, element: Element, ranks: Ranks = .alone
    ) throws {
        self.valuesPerRow = valuesPerRow
        self.element = element
        place = Place(cache: cache, key: key)
        guard ranks.shard > 0 else {
            defer { ranks.meet() }  // The others wait for the file, or for what this one says of it.
            let records = try FeatureRecords(cache, key: key, valuesPerRow, element)
            rows = records
            var state = State(failure: records.failure)
            state.find(in: records)
            self.state = Mutex(state)
            if records.failure == nil { joinWhatIsLeft() }
            return
        }
        ranks.meet()
        let records = try ShardedRecords(cache, key: key, valuesPerRow, element, ranks)
        rows = records
        var state = State(end: ShardedRecords.firstOwnSlot, failure: records.own.failure)
        state.findAll(in: records)
        self.state = Mutex(state)
    }

    /// Finds rows that earlier runs kept in a cache, and keeps none; nil where there are none.
    init?(reading cache: FeatureCache, key: ContentHash, valuesPerRow: Int, element: Element) {
        guard let records = try? FeatureRecords(cache, key: key, valuesPerRow, element, isShown: true) else {
            return nil
        }
        self.valuesPerRow = valuesPerRow
        self.element = element
        rows = records
        place = nil
        var state = State(failure: records.failure)
        state.find(in: records)
        self.state = Mutex(state)
    }

    /// Bytes that one row takes where it is kept, with all that belongs to it.
    package var bytesPerRow: Int { rows.bytesPerRow }

    /// Rows held.
    package var count: Int { state.withLock { $0.slots.count } }

    /// Why it stopped keeping rows, in words for a warning; nil while it keeps them.
    package var failure: String? { state.withLock { $0.failure } }

    /// Whether a row is held; a damaged one seems to be until it is read.
    ///
    /// - Parameter view: Which of the ways in which the image is shown to the network, such as mirrored; not negative.
    package func contains(_ image: ContentHash, view: Int) -> Bool {
        let name = FeatureName(image, view)
        return state.withLock { $0.slots[name] != nil }
    }

    /// Gives a row.
    ///
    /// - Parameter row: Room for `valuesPerRow` floats. Holds garbage where the function returns false.
    /// - Returns: False where the row is not held or is damaged, and then forgotten: it wants to be computed again.
    package func read(_ image: ContentHash, view: Int, into row: inout MutableSpan<Float>) -> Bool {
        precondition(row.count == valuesPerRow, "a row of \(row.count) numbers is read, \(valuesPerRow) are kept")
        let name = FeatureName(image, view)
        guard let slot = state.withLock({ $0.slots[name] }) else { return false }
        if rows.read(name, at: slot, into: &row) { return true }
        state.withLock {
            // Another task may have forgotten it first, and a third have written it again elsewhere.
            guard $0.slots[name] == slot else { return }
            $0.slots[name] = nil
            $0.unused.append(slot)
        }
        return false
    }

    /// Keeps a row, rounded to the store's element; nothing happens where it is held already.
    ///
    /// Where it cannot be kept, as on a full disk, no further row will be: `failure` then says why.
    package func insert(_ image: ContentHash, view: Int, _ row: Span<Float>) {
        precondition(row.count == valuesPerRow, "a row of \(row.count) numbers is kept among rows of \(valuesPerRow)")
        insert(FeatureName(image, view), row)
    }

    private func insert(_ name: FeatureName, _ row: Span<Float>) {
        guard let slot = claimSlot(for: name) else { return }
        do {
            try rows.write(name, at: slot, row)
            // Two tasks may have computed the same row: the slot of the second is then unused.
            state.withLock { $0.hold(name, at: slot) }
        } catch {
            state.withLock { $0.failure = $0.failure ?? "\(error)" }
        }
    }

    /// A slot that nobody else writes to; nil where the row is held already or no more are kept.
    private func claimSlot(for name: FeatureName) -> Int? {
        state.withLock { state in
            guard state.failure == nil, state.slots[name] == nil else { return nil }
            if let slot = state.unused.popLast() { return slot }
            do {
                try rows.reserve(state.end)
            } catch {
                state.failure = "\(error)"
                return nil
            }
            state.end += 1
            return state.end - 1
        }
    }

    // MARK: Ranks

    /// Puts what all ranks kept into one file, which each then reads. Collective.
    package func join(_ ranks: Ranks) throws {
        guard ranks.count > 1, let place else { return }
        ranks.meet()
        if ranks.isFirst {
            for shard in 1..<ranks.count {
                append(
                    try FeatureRecords(place.cache, key: place.key, valuesPerRow, element, shard: shard, isShown: true))
            }
        }
        ranks.meet()
        guard let records = rows as? ShardedRecords else { return }
        try records.own.clear()
        state.withLock { state in
            state = State(end: ShardedRecords.firstOwnSlot, failure: state.failure)
            state.findAll(in: records)
        }
    }

    /// Removes its files, and the cache's folder where nothing else is in it. It is then of no use.
    package func removeFiles() {
        guard let place else { return }
        for shard in [0] + place.cache.shards(of: place.key) {
            FileSystem.remove(place.cache.path(of: place.key, shard: shard))
        }
        FileSystem.removeEmptyDirectory(place.cache.folder)
    }

    /// Joins the files that ranks of an earlier run left, and removes them; those that are in use stay.
    private func joinWhatIsLeft() {
        guard let place else { return }
        for shard in place.cache.shards(of: place.key) {
            guard
                let records = try? FeatureRecords(place.cache, key: place.key, valuesPerRow, element, shard: shard),
                records.failure == nil
            else { continue }
            append(records)
            if failure == nil { FileSystem.remove(place.cache.path(of: place.key, shard: shard)) }
        }
    }

    private func append(_ records: FeatureRecords) {
        var row = [Float](repeating: 0, count: valuesPerRow)
        records.findRecords { name, slot in
            var room = row.mutableSpan
            guard records.read(name, at: slot, into: &room) else { return }
            insert(name, row.span)
        }
    }
}

extension FeatureStore.State {
    /// Finds what all ranks have, and what this one has beside it.
    fileprivate mutating func findAll(in records: ShardedRecords) {
        records.all?.findRecords { hold($0, at: $1) }
        records.own.findRecords {
            hold($0, at: ShardedRecords.firstOwnSlot + $1)
            end = ShardedRecords.firstOwnSlot + $1 + 1
        }
    }
}

/// The file of all ranks, which another one writes to, and this rank's own; slots of the latter have higher numbers.
private final class ShardedRecords: FeatureRows {
    static let firstOwnSlot = 1 << 48
    /// Nil where there is none.
    let all: FeatureRecords?
    let own: FeatureRecords

    init(
        _ cache: FeatureCache, key: ContentHash, _ valuesPerRow: Int, _ element: FeatureStore.Element, _ ranks: Ranks
    ) throws {
        do {
            all = try FeatureRecords(cache, key: key, valuesPerRow, element, isShown: true)
        } catch {
            guard ranks.count == 1 else {
                throw PipelineError(
                    description:
                        "cannot share features: this process does not see '\(cache.path(of: key))', which another one of the run made (\(error)). Name a folder that all machines share with --cache."
                )
            }
            all = nil
        }
        own = try FeatureRecords(cache, key: key, valuesPerRow, element, shard: ranks.shard)
    }

    var bytesPerRow: Int { own.bytesPerRow }

    func reserve(_ slot: Int) throws { try own.reserve(slot - Self.firstOwnSlot) }

    func write(_ name: FeatureName, at slot: Int, _ row: Span<Float>) throws {
        try own.write(name, at: slot - Self.firstOwnSlot, row)
    }

    func read(_ name: FeatureName, at slot: Int, into row: inout MutableSpan<Float>) -> Bool {
        if slot >= Self.firstOwnSlot { return own.read(name, at: slot - Self.firstOwnSlot, into: &row) }
        return all?.read(name, at: slot, into: &row) ?? false
    }
}

/// Which row: an image, seen in one way.
struct FeatureName: Sendable, Hashable {
    let image: ContentHash
    let view: UInt32

    init(image: ContentHash, view: UInt32) {
        self.image = image
        self.view = view
    }

    /// - Precondition: `view` is in 0...UInt32.max.
    init(_ image: ContentHash, _ view: Int) {
        precondition(UInt32(exactly: view) != nil, "view \(view) of an image is none")
        self.init(image: image, view: UInt32(view))
    }
}

/// Where rows lie: numbered slots of one size. The store sees to it that no two tasks write to one slot.
protocol FeatureRows: Sendable {
    /// Bytes a slot.
    var bytesPerRow: Int { get }

    /// Makes room for one slot more, that of this number. Called by one task at a time.
    func reserve(_ slot: Int) throws

    func write(_ name: FeatureName, at slot: Int, _ row: Span<Float>) throws

    /// False where the slot does not hold the row, whole.
    func read(_ name: FeatureName, at slot: Int, into row: inout MutableSpan<Float>) -> Bool
}
