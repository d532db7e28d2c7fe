// Kept features come back whole or not at all, whatever happened to their file meanwhile.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetunePipeline

@Suite("Features in a file") struct FeatureRecordsTests {
    @Test("are found by the next run, which adds to them", arguments: Element.allCases)
    func reopened(_ element: Element) throws {
        let temporary = try TemporaryCache()
        for start in stride(from: 0, to: 30, by: 10) {
            let store = try temporary.store(element)
            #expect(store.count == start)
            for number in start..<start + 10 { store.insert(number) }
        }
        #expect(try temporary.store(element).intact(0..<30).count == 30)
        let size = FileSystem.usage(of: temporary.path)?.byteCount
        #expect(try size == 64 + 30 * temporary.store(element).bytesPerRow)
    }

    @Test("lose only the last record where the file ends within it", arguments: [1, 31, 32, 1000, 2047])
    func torn(_ missing: Int) throws {
        let temporary = try TemporaryCache()
        try temporary.fill(5)
        try temporary.damage { $0.removeLast(missing) }
        let store = try temporary.store()
        #expect(store.count == 4 && store.intact(0..<5) == [0, 1, 2, 3])
        store.insert(4)
        store.insert(5)
        #expect(store.intact(0..<6).count == 6)
        #expect(FileSystem.usage(of: temporary.path)?.byteCount == 64 + 6 * store.bytesPerRow)
    }

    @Test("are computed again where a byte has changed", arguments: [0, 9, 25, 32, 1031])
    func flipped(_ offset: Int) throws {
        let temporary = try TemporaryCache()
        try temporary.fill(5)
        try temporary.damage { $0[64 + 2 * ($0.count - 64) / 5 + offset] ^= 4 }
        do {
            let store = try temporary.store()
            #expect(store.intact(0..<5) == [0, 1, 3, 4])
            #expect(!store.contains(image(2), view: 0) && store.failure == nil)
            store.insert(2)
            #expect(store.intact(0..<5).count == 5)
        }
        #expect(try temporary.store().intact(0..<5).count == 5)
    }

    @Test("end at the first record that was never written")
    func hole() throws {
        let temporary = try TemporaryCache()
        try temporary.fill(3)
        try temporary.damage { $0 += [UInt8](repeating: 0, count: 1 << 20) }
        let store = try temporary.store()
        #expect(store.count == 3)
        store.insert(3)
        #expect(store.intact(0..<4).count == 4)
    }

    @Test("of another version, element, network or of no kind at all are replaced")
    func garbage() throws {
        let temporary = try TemporaryCache()
        try temporary.fill(1)
        let good = try FileSystem.read(temporary.path)
        var contents: [[UInt8]] = [[], [1], Array("features".utf8), [UInt8](repeating: 255, count: 5000)]
        for offset in [0, 8, 12, 16, 23, 24, 39, 63] {
            contents.append(good)
            contents[contents.count - 1][offset] ^= 1
        }
        for content in contents {
            try temporary.overwrite(content)
            let store = try temporary.store()
            #expect(store.count == 0 && store.failure == nil)
            store.insert(7)
            #expect(store.intact(7..<8) == [7])
            #expect(FileSystem.usage(of: temporary.path)?.byteCount == 64 + store.bytesPerRow)
        }
        #expect(try temporary.store(.float32).count == 0)
    }

    @Test("that are damaged in many ways come back whole or not at all, and never crash")
    func mutations() throws {
        let temporary = try TemporaryCache()
        try temporary.fill(4)
        let good = try FileSystem.read(temporary.path)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...20, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
            try temporary.overwrite(bytes)
            let store = try temporary.store()
            for number in 0..<4 {
                let row = store.row(number)
                #expect(row == nil || row == rounded(values(number), .bfloat16))
                store.insert(number)
            }
            #expect(store.intact(0..<4).count == 4)
        }
    }

    @Test("are written by one run, and read by a second one meanwhile")
    func twoRuns() throws {
        let temporary = try TemporaryCache()
        try temporary.fill(3)
        let first = try temporary.store()
        let second = try temporary.store()
        #expect(first.failure == nil)
        #expect(
            second.failure == "cannot keep features in '\(temporary.path)': another run is using it")
        first.insert(3)
        second.insert(4)
        #expect(second.count == 3 && second.intact(0..<5) == [0, 1, 2])
        #expect(first.count == 4 && first.intact(0..<5) == [0, 1, 2, 3])
        // Not even a file of another element, which it would replace, is touched by the second.
        #expect(try temporary.store(.float32).count == 0)
        #expect(first.intact(0..<4).count == 4)
    }

    @Test("are found by those who keep none, while another run writes")
    func reading() throws {
        let temporary = try TemporaryCache()
        func open(_ element: Element) -> FeatureStore? {
            FeatureStore(reading: temporary.cache, key: key, valuesPerRow: valuesPerRow, element: element)
        }
        #expect(open(.bfloat16) == nil && FileSystem.kind(of: temporary.cache.folder) == nil)
        try temporary.fill(3)
        let writer = try temporary.store()
        let reader = try #require(open(.bfloat16))
        reader.insert(4)
        writer.insert(3)
        #expect(reader.count == 3 && reader.intact(0..<5) == [0, 1, 2])
        reader.removeFiles()
        #expect(writer.failure == nil && writer.intact(0..<5) == [0, 1, 2, 3])
        #expect(try temporary.store().count == 4)
        #expect(open(.float32) == nil)
    }

    @Test("need a folder and a file that can be made")
    func impossible() throws {
        let temporary = try TemporaryCache()
        try FileSystem.makeDirectory(temporary.path)
        #expect(throws: FileError.self) { try temporary.store() }
        try AtomicFile.write("no folder", to: temporary.folder + "/file")
        let cache = FeatureCache(folder: temporary.folder + "/file")
        #expect(throws: FileError.self) {
            try FeatureStore(cache, key: key, valuesPerRow: 1, element: .float32)
        }
    }
}
