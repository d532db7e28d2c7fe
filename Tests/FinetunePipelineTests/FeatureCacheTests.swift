// A cache stays within its limit and its disk, and takes only what nobody uses.

import FinetuneEngine
import FinetuneFiles
import Glibc
import TestSupport
import Testing

@testable import FinetunePipeline

@Suite("A cache of features") struct FeatureCacheTests {
    private static let keys = (0..<5).map { ContentHash(of: "network \($0)") }

    /// A cache of five files of ten rows, the first used longest ago.
    private func filled(byteLimit: Int) throws -> TemporaryCache {
        let temporary = try TemporaryCache(byteLimit: byteLimit)
        for (age, key) in Self.keys.enumerated() {
            let roomy = FeatureCache(folder: temporary.cache.folder, bytesLeftFree: 0)
            let store = try FeatureStore(roomy, key: key, valuesPerRow: valuesPerRow, element: .bfloat16)
            for number in 0..<10 { store.insert(number) }
            let time = timespec(tv_sec: 1_000_000 + age, tv_nsec: 0)
            #expect(utimensat(AT_FDCWD, temporary.cache.path(of: key), [time, time], 0) == 0)
        }
        return temporary
    }

    private func present(_ cache: FeatureCache) -> [Int] {
        Self.keys.indices.filter { FileSystem.kind(of: cache.path(of: Self.keys[$0])) == .file }
    }

    private static let fileByteCount = 64 + 10 * 2048

    @Test("removes what was used longest ago, as much as it takes")
    func leastRecentlyUsed() throws {
        let temporary = try filled(byteLimit: 5 * Self.fileByteCount)
        let cache = temporary.cache
        var other = try AtomicFile(cache.folder + "/notes.features")
        try other.write("not ours")
        try other.commit()
        #expect(cache.makeRoom(for: 0, keeping: nil) && present(cache) == [0, 1, 2, 3, 4])
        #expect(cache.makeRoom(for: 1, keeping: nil) && present(cache) == [1, 2, 3, 4])
        #expect(cache.makeRoom(for: Self.fileByteCount, keeping: nil) && present(cache) == [1, 2, 3, 4])
        #expect(cache.makeRoom(for: 2 * Self.fileByteCount, keeping: Self.keys[1]) && present(cache) == [1, 3, 4])
        // Whoever opens a file uses it.
        _ = try temporary.store(key: Self.keys[3])
        #expect(cache.makeRoom(for: 3 * Self.fileByteCount, keeping: Self.keys[1]) && present(cache) == [1, 3])
        #expect(!cache.makeRoom(for: 5 * Self.fileByteCount, keeping: Self.keys[1]) && present(cache) == [1, 3])
        #expect(cache.makeRoom(for: 5 * Self.fileByteCount, keeping: nil) && present(cache) == [])
        #expect(!cache.makeRoom(for: .max, keeping: nil))
        #expect(FileSystem.kind(of: cache.folder + "/notes.features") == .file)
    }

    @Test("leaves a file that a store has open")
    func held() throws {
        let temporary = try filled(byteLimit: 5 * Self.fileByteCount)
        let cache = temporary.cache
        let store = try temporary.store(key: Self.keys[0])
        #expect(!cache.makeRoom(for: 5 * Self.fileByteCount, keeping: nil) && present(cache) == [0])
        #expect(store.intact(0..<10).count == 10)
    }

    @Test("stays under its limit while a store grows, and then says why it keeps no more")
    func growing() throws {
        let temporary = try filled(byteLimit: 5 * Self.fileByteCount)
        let store = try temporary.store(key: Self.keys[4])
        for number in 10..<35 { store.insert(number) }
        #expect(store.failure == nil && present(temporary.cache) == [3, 4])
        for number in 35..<100 { store.insert(number) }
        #expect(present(temporary.cache) == [4])
        #expect(store.failure == "the cache '\(temporary.cache.folder)' is full: its limit of 100.3 KiB is reached")
        #expect(store.count == 50 && store.intact(0..<100) == Array(0..<50))
        let size = FileSystem.usage(of: temporary.cache.path(of: Self.keys[4]))?.byteCount ?? 0
        #expect(size > 4 * Self.fileByteCount && size <= 5 * Self.fileByteCount)
        // A file beyond the limit, which was lowered, starts again.
        let smaller = FeatureCache(folder: temporary.cache.folder, byteLimit: 10_000, bytesLeftFree: 0)
        #expect(
            try FeatureStore(smaller, key: Self.keys[3], valuesPerRow: valuesPerRow, element: .bfloat16).count == 0)
    }

    @Test("leaves others their share of the disk")
    func bytesLeftFree() throws {
        let temporary = try TemporaryCache(bytesLeftFree: 1 << 60)
        let store = try temporary.store()
        store.insert(0)
        let failure = try #require(store.failure)
        #expect(failure.hasPrefix("the cache '\(temporary.cache.folder)' is full: its disk has "))
        #expect(store.count == 0 && store.row(0) == nil)
    }

    @Test("that fills its disk keeps what was there before", .enabled(if: geteuid() == 0, "only root mounts a disk"))
    func fullDisk() throws {
        let temporary = try TemporaryCache()
        try FileSystem.makeDirectory(temporary.cache.folder)
        guard mount("tmpfs", temporary.cache.folder, "tmpfs", 0, "size=66m") == 0 else {
            try Test.cancel("no disk can be mounted here")
        }
        defer { umount2(temporary.cache.folder, Int32(MNT_DETACH)) }
        let large = 20_000
        let store = try FeatureStore(temporary.cache, key: key, valuesPerRow: large, element: .float32)
        store.insert(0)
        store.insert(1)
        #expect(store.failure == nil)
        // Somebody else takes the disk, all but two pages.
        do {
            let other = try UpdatableFile(temporary.cache.folder + "/other", creating: true)
            let free = try #require(FileSystem.freeBytes(at: temporary.cache.folder))
            let bytes = [UInt8](repeating: 1, count: free - 8192)
            try other.write(bytes.span.bytes, at: 0)
        }
        store.insert(2)
        #expect(store.failure == "the cache '\(temporary.cache.folder)' is full: No space left on device")
        store.insert(3)
        #expect(store.count == 2 && store.intact(0..<4) == [0, 1])
    }

    @Test(
        "that fills its disk is opened again as far as it is whole",
        .enabled(if: geteuid() == 0, "only root mounts a small disk"))
    func afterFullDisk() throws {
        let temporary = try TemporaryCache()
        try FileSystem.makeDirectory(temporary.cache.folder)
        guard mount("tmpfs", temporary.cache.folder, "tmpfs", 0, "size=1m") == 0 else {
            try Test.cancel("no disk can be mounted here")
        }
        defer { umount2(temporary.cache.folder, Int32(MNT_DETACH)) }
        for _ in 0..<2 {
            let store = try FeatureStore(temporary.cache, key: key, valuesPerRow: 20_000, element: .float32)
            for number in 0..<30 { store.insert(number) }
            let free = try #require(FileSystem.freeBytes(at: temporary.cache.folder)).bytesText
            #expect(store.failure?.contains("is full: its disk has \(free) left") == true, "\(store.failure ?? "")")
            #expect(store.count == 13 && store.intact(0..<30) == Array(0..<13))
        }
    }
}
