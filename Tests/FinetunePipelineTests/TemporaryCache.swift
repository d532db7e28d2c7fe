// What the tests of kept features share: rows that can be told apart, and a cache in a folder of its own.

import FinetuneEngine
import FinetuneFiles
import Glibc
import TestSupport
import Testing

@testable import FinetunePipeline

typealias Element = FeatureStore.Element

let key = ContentHash(of: "a network")
let valuesPerRow = 1000

func image(_ number: Int) -> ContentHash { ContentHash(of: "image \(number)") }

/// What a network might make of an image.
func values(_ number: Int, count: Int = valuesPerRow) -> [Float] {
    (0..<count).map { Float(sin(Double($0 * (number + 1)))) * 100 }
}

func rounded(_ values: [Float], _ element: Element) -> [Float] {
    var values = values
    var span = values.mutableSpan
    element.round(&span)
    return values
}

extension FeatureStore {
    func insert(_ number: Int, view: Int = 0) {
        let row = values(number, count: valuesPerRow)
        insert(image(number), view: view, row.span)
    }

    func row(_ number: Int, view: Int = 0) -> [Float]? {
        var values = [Float](repeating: 0, count: valuesPerRow)
        var span = values.mutableSpan
        return read(image(number), view: view, into: &span) ? values : nil
    }

    /// The numbers of the rows among the first ones that come back as they were kept.
    func intact(_ numbers: Range<Int>) -> [Int] {
        numbers.filter { row($0) == rounded(values($0, count: valuesPerRow), element) }
    }
}

/// A cache in a new folder that goes with it.
struct TemporaryCache: ~Copyable {
    let folder: String
    let cache: FeatureCache

    init(byteLimit: Int = 1 << 30, bytesLeftFree: Int = 0) throws {
        folder = try Fixtures.temporaryFolder()
        cache = FeatureCache(folder: folder + "/cache", byteLimit: byteLimit, bytesLeftFree: bytesLeftFree)
    }

    deinit { Fixtures.remove(folder) }

    var path: String { cache.path(of: key) }

    func store(_ element: Element = .bfloat16, key: ContentHash = key) throws -> FeatureStore {
        try FeatureStore(cache, key: key, valuesPerRow: valuesPerRow, element: element)
    }

    /// Keeps some rows as an earlier run did.
    func fill(_ count: Int, key: ContentHash = key) throws {
        let store = try store(key: key)
        for number in 0..<count { store.insert(number) }
        #expect(store.failure == nil)
    }

    /// Changes the bytes of a file.
    func damage(_ change: (inout [UInt8]) -> Void) throws {
        var bytes = try FileSystem.read(path)
        change(&bytes)
        FileSystem.remove(path)
        try overwrite(bytes)
    }

    func overwrite(_ bytes: [UInt8]) throws {
        try FileSystem.makeDirectory(cache.folder)
        var file = try AtomicFile(path)
        try file.write(bytes)
        try file.commit()
    }
}
