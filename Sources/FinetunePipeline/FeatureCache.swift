// The folder in which features stay from one run to the next: files of one network each, the least recently used go.

package import FinetuneFiles

/// Where features are kept, and how much of them.
package struct FeatureCache: Sendable {
    package let folder: String
    /// Bytes that all its files together may take.
    package let byteLimit: Int
    /// Bytes of the disk that are left to others, such as the checkpoints of the same run.
    package let bytesLeftFree: Int

    package init(folder: String, byteLimit: Int = 10 << 30, bytesLeftFree: Int = 1 << 30) {
        precondition(byteLimit >= 0 && bytesLeftFree >= 0, "a cache of \(byteLimit) bytes, \(bytesLeftFree) left free")
        self.folder = folder
        self.byteLimit = byteLimit
        self.bytesLeftFree = bytesLeftFree
    }

    private static let fileEnding = ".features"
    private static let noteEnding = ".json"

    /// Where the features of one network, precision and recipe stand.
    ///
    /// - Parameter shard: The number of a rank that writes to a file of its own, until all are joined; 0 for the file of
    ///   all.
    func path(of key: ContentHash, shard: Int = 0) -> String {
        Path.join(folder, key.text + (shard == 0 ? "" : "-\(shard)") + Self.fileEnding)
    }

    /// The numbers of the files that ranks left beside that of all, ascending.
    func shards(of key: ContentHash) -> [Int] {
        // A folder that cannot be read holds nothing that could be joined.
        let names = (try? FileSystem.list(folder)) ?? []
        return names.filter { $0.hasPrefix(key.text) }.compactMap { Self.shard($0.dropFirst(key.text.count)) }
            .filter { $0 > 0 }.sorted()
    }

    /// The number in a feature file's name, by what follows its key; nil for what is no such file.
    private static func shard(_ rest: Substring) -> Int? {
        guard rest.hasSuffix(fileEnding) else { return nil }
        let number = rest.dropLast(fileEnding.count)
        if number.isEmpty { return 0 }
        return number.hasPrefix("-") ? Int(number.dropFirst()) : nil
    }

    /// What was kept under a key by `keep`; nil where there is nothing, or nothing that can be read.
    func note(_ key: ContentHash) -> JSON? {
        guard let bytes = try? FileSystem.read(notePath(key)) else { return nil }
        return (try? JSON(parsing: bytes))?.checked
    }

    /// Keeps a few words. A folder that takes none costs no more than the time to find them again.
    func keep(_ note: JSON, under key: ContentHash) {
        guard makeRoom(for: note.text.utf8.count, keeping: nil) else { return }
        try? AtomicFile.write(note.withChecksum.text, to: notePath(key))
    }

    private func notePath(_ key: ContentHash) -> String { Path.join(folder, key.text + Self.noteEnding) }

    /// Removes the least recently used files until `needed` further bytes fit under the limit and on the disk.
    ///
    /// Nothing is removed where they would not fit even then, and never a file of `key`, one that a store holds open
    /// for writing, or one that is none of ours.
    ///
    /// - Returns: Whether they fit.
    package func makeRoom(for needed: Int, keeping key: ContentHash?) -> Bool {
        shortage(afterMakingRoomFor: needed, keeping: key) == nil
    }

    /// `makeRoom`, with the reason why the bytes do not fit; nil where they do.
    func shortage(afterMakingRoomFor needed: Int, keeping key: ContentHash?) -> String? {
        var files: [File]
        do {
            try FileSystem.makeDirectory(folder)
            files = try self.files()
        } catch {
            return "\(error)"
        }
        let kept = key.map { Path.join(folder, $0.text) }
        func isKept(_ file: File) -> Bool { kept.map { file.path.hasPrefix($0) } ?? false }
        let fixed = Self.byteCount(files.filter(isKept))
        let removable = Self.byteCount(files.filter { !isKept($0) })
        guard needed <= byteLimit - min(fixed, byteLimit) else { return limitReached }
        guard needed <= Self.sum(spareBytes, removable) else { return diskFull }
        for file in files.sorted(by: { ($0.usage.changed, $0.path) < ($1.usage.changed, $1.path) }) {
            if fits(needed, files) { return nil }
            if !isKept(file), remove(file) { files.removeAll { $0.path == file.path } }
        }
        return fits(needed, files) ? nil : needed <= spareBytes ? limitReached : diskFull
    }

    /// Removes all files that nobody writes to, and the folder where nothing else is in it.
    package func remove() {
        do {
            for file in try files() { _ = remove(file) }
        } catch {
            // A folder that cannot be read holds nothing of ours.
            return
        }
        FileSystem.removeEmptyDirectory(folder)
    }

    // MARK: Files

    private struct File {
        let path: String
        let usage: FileSystem.Usage
    }

    /// Only what has a name as we give it: the folder may hold other things.
    private func files() throws -> [File] {
        try FileSystem.list(folder).compactMap { name in
            let digits = name.utf8.prefix(32)
            let rest = name.dropFirst(32)
            let isOurs =
                digits.count == 32 && digits.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
                && (rest == Self.noteEnding || Self.shard(rest) != nil)
            let path = Path.join(folder, name)
            return isOurs ? FileSystem.usage(of: path).map { File(path: path, usage: $0) } : nil
        }
    }

    /// Removes a file that nobody writes to. Whoever opens it meanwhile notices that it is no longer in its place.
    private func remove(_ file: File) -> Bool {
        do {
            let open = try UpdatableFile(file.path, creating: false)
            guard try open.lock(), open.isInPlace else { return false }
            FileSystem.remove(file.path)
            return !open.isInPlace
        } catch {
            // A file of another user, or one that went by itself: the next one may do.
            return false
        }
    }

    // MARK: Sums of sizes, which a damaged file system may make up

    private static func sum(_ a: Int, _ b: Int) -> Int {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : sum
    }

    private static func byteCount(_ files: [File]) -> Int { files.reduce(0) { sum($0, $1.usage.byteCount) } }

    private var spareBytes: Int { max(0, (FileSystem.freeBytes(at: folder) ?? .max) - bytesLeftFree) }

    private func fits(_ needed: Int, _ files: [File]) -> Bool {
        let used = Self.byteCount(files)
        return used <= byteLimit && needed <= byteLimit - used && needed <= spareBytes
    }

    // MARK: Texts

    /// The error of a cache that takes no more.
    func full(_ reason: String) -> PipelineError {
        PipelineError(description: "the cache '\(folder)' is full: \(reason)")
    }

    private var limitReached: String { "its limit of \(byteLimit.bytesText) is reached" }

    private var diskFull: String {
        let free = (FileSystem.freeBytes(at: folder) ?? 0).bytesText
        return "its disk has \(free) left, of which \(bytesLeftFree.bytesText) stay free"
    }
}
