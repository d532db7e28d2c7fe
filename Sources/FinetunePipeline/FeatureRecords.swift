// Rows in a file that may end anywhere, as a killed process or a full disk leaves it. Little-endian:
//
//   header, 64 bytes   "features", version (4), element (4), numbers a row (8), key: low, high (16), zeros
//   records, each      checksum (8) of what follows, image's hash: low, high (16), view (4), zeros (4),
//                      the row's numbers, zeros up to a multiple of 64 bytes
//
// Records are appended and have one size, so that an index is made from their first bytes alone. What is not whole at
// the end is written over; what was damaged elsewhere has a wrong checksum.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Synchronization

/// Slots in a file.
final class FeatureRecords: FeatureRows {
    let bytesPerRow: Int
    /// Why nothing can be written; nil where it can.
    let failure: String?
    private let element: FeatureStore.Element
    private let payloadByteCount: Int
    private let cache: FeatureCache
    private let key: ContentHash
    private let file: UpdatableFile
    /// Whether the file holds records of ours.
    private let isReadable: Bool
    /// The file may grow up to this size without asking the cache again.
    private let grantedByteCount = Mutex(0)

    /// 2: rows hold finite numbers alone.
    private static let version: UInt32 = 2
    private static let fileHeaderByteCount = 64
    private static let recordHeaderByteCount = 32
    /// The file grows by as much before the cache's folder is looked at again.
    private static let grant = 64 << 20

    /// - Parameters:
    ///   - shard: The number of a rank that writes to a file of its own; 0 for the file of all.
    ///   - isShown: Whether another process writes to the file, and this one only reads it.
    init(
        _ cache: FeatureCache, key: ContentHash, _ valuesPerRow: Int, _ element: FeatureStore.Element, shard: Int = 0,
        isShown: Bool = false
    ) throws {
        self.cache = cache
        self.key = key
        self.element = element
        payloadByteCount = valuesPerRow * element.byteCount
        bytesPerRow = Self.paddedByteCount(valuesPerRow, element, header: Self.recordHeaderByteCount)
        let header = Self.header(key, valuesPerRow, element)
        let path = cache.path(of: key, shard: shard)
        if isShown {
            file = try UpdatableFile(path, creating: false)
            failure = "another rank writes to '\(path)'"
            isReadable = true
            guard try Self.isHeader(header, of: file) else {
                throw PipelineError(description: "cannot read '\(path)': it holds other features, or none.")
            }
            return
        }
        try FileSystem.makeDirectory(cache.folder)
        let (file, reason) = try Self.open(path)
        self.file = file
        let isWelcome = try file.byteCount() <= max(cache.byteLimit, header.count)
        if isWelcome, try Self.isHeader(header, of: file) {
            failure = reason
            isReadable = true
            return
        }
        failure = reason ?? Self.failure(cache) { try Self.replace(file, header) }
        isReadable = failure == nil
    }

    /// Opens the file that stands at a path and takes it for writing.
    ///
    /// - Returns: Also why it cannot be taken; nil where it could.
    private static func open(_ path: String) throws -> (UpdatableFile, failure: String?) {
        var attempts = 10
        while true {
            let file = try UpdatableFile(path, creating: true)
            var failure: String?
            do {
                if try !file.lock() { failure = "cannot keep features in '\(path)': another run is using it" }
                try file.touch()
            } catch {
                failure = "\(error)"
            }
            // Another process may have removed it to make room before this one took it.
            attempts -= 1
            if file.isInPlace { return (file, failure) }
            if attempts == 0 { return (file, "cannot keep features in '\(path)': others keep removing it") }
        }
    }

    private static func header(_ key: ContentHash, _ valuesPerRow: Int, _ element: FeatureStore.Element) -> [UInt8] {
        let code: UInt32 =
            switch element {
            case .float32: 0
            case .float16: 1
            case .bfloat16: 2
            }
        let bytes =
            Array("features".utf8) + version.littleEndianBytes + code.littleEndianBytes
            + UInt64(valuesPerRow).littleEndianBytes + key.low.littleEndianBytes + key.high.littleEndianBytes
        return bytes + [UInt8](repeating: 0, count: fileHeaderByteCount - bytes.count)
    }

    private static func isHeader(_ header: [UInt8], of file: UpdatableFile) throws -> Bool {
        var found = [UInt8](repeating: 0, count: header.count)
        return try file.read(at: 0, into: &found) && found == header
    }

    private static func replace(_ file: UpdatableFile, _ header: [UInt8]) throws {
        try file.clear()
        try file.write(header.span.bytes, at: 0)
    }

    /// Why an action failed, in words; nil where it did not.
    private static func failure(_ cache: FeatureCache, of action: () throws -> Void) -> String? {
        do {
            try action()
            return nil
        } catch let error as FileError {
            return error.fullReason.map { cache.full($0).description } ?? error.description
        } catch {
            return "\(error)"
        }
    }

    /// Bytes of a row with what stands before it, up to a multiple of 64.
    static func paddedByteCount(_ valuesPerRow: Int, _ element: FeatureStore.Element, header: Int = 0) -> Int {
        precondition((1...1 << 40).contains(valuesPerRow), "a row of \(valuesPerRow) numbers cannot be kept")
        return (header + valuesPerRow * element.byteCount + 63) / 64 * 64
    }

    private func offset(of slot: Int) -> Int { Self.fileHeaderByteCount + slot * bytesPerRow }

    /// Calls `body` with the records that are in the file, by their headers alone, up to the first that was never
    /// written or cannot be read.
    ///
    /// - Parameter first: The slot to begin at.
    func findRecords(from first: Int = 0, _ body: (FeatureName, Int) -> Void) {
        guard isReadable, let byteCount = try? file.byteCount() else { return }
        let slotCount = (byteCount - Self.fileHeaderByteCount) / bytesPerRow
        var header = [UInt8](repeating: 0, count: Self.recordHeaderByteCount)
        for slot in first..<max(first, slotCount) {
            do {
                guard try file.read(at: offset(of: slot), into: &header) else { return }
            } catch {
                // A bad place on the disk: what lies behind it is computed again.
                return
            }
            if header.allSatisfy({ $0 == 0 }) { return }
            body(Self.name(in: header.span.bytes), slot)
        }
    }

    /// Forgets all records.
    func clear() throws {
        guard try file.byteCount() > Self.fileHeaderByteCount else { return }
        var header = [UInt8](repeating: 0, count: Self.fileHeaderByteCount)
        guard try file.read(at: 0, into: &header) else { return }
        try Self.replace(file, header)
    }

    func reserve(_ slot: Int) throws {
        let end = offset(of: slot + 1)
        try grantedByteCount.withLock { granted in
            guard end > granted else { return }
            let further = max(0, end - (try file.byteCount()))
            if cache.makeRoom(for: further + Self.grant, keeping: key) {
                granted = end + Self.grant
            } else if let reason = cache.shortage(afterMakingRoomFor: further, keeping: key) {
                throw cache.full(reason)
            } else {
                granted = end
            }
        }
    }

    func write(_ name: FeatureName, at slot: Int, _ row: Span<Float>) throws {
        let failure = ScratchBytes.with(bytesPerRow) { record in
            record.storeBytes(of: name.image.low.littleEndian, toByteOffset: 8, as: UInt64.self)
            record.storeBytes(of: name.image.high.littleEndian, toByteOffset: 16, as: UInt64.self)
            record.storeBytes(of: UInt64(name.view).littleEndian, toByteOffset: 24, as: UInt64.self)
            element.encode(row, into: &record, at: Self.recordHeaderByteCount)
            for offset in Self.recordHeaderByteCount + payloadByteCount..<bytesPerRow {
                record.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
            }
            let checksum = checksum(of: record.bytes)
            record.storeBytes(of: checksum.littleEndian, as: UInt64.self)
            return Self.failure(cache) { try file.write(record.bytes, at: offset(of: slot)) }
        }
        if let failure { throw PipelineError(description: failure) }
    }

    func read(_ name: FeatureName, at slot: Int, into row: inout MutableSpan<Float>) -> Bool {
        ScratchBytes.with(Self.recordHeaderByteCount + payloadByteCount) { record in
            do {
                guard try file.read(at: offset(of: slot), into: &record) else { return false }
            } catch {
                // What cannot be read is computed again, as what is damaged.
                return false
            }
            // The slot may meanwhile hold another row.
            guard record.bytes.littleEndian(at: 0) == checksum(of: record.bytes), Self.name(in: record.bytes) == name
            else { return false }
            element.decode(record.bytes, at: Self.recordHeaderByteCount, into: &row)
            return true
        }
    }

    private static func name(in record: RawSpan) -> FeatureName {
        FeatureName(
            image: ContentHash(high: record.littleEndian(at: 16), low: record.littleEndian(at: 8)),
            view: record.littleEndian(at: 24))
    }

    private func checksum(of record: RawSpan) -> UInt64 {
        ContentHash(of: record.extracting(8..<Self.recordHeaderByteCount + payloadByteCount)).low
    }
}
