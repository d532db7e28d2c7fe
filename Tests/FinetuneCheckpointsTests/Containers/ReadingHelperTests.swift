// The process that reads HDF5: what ends it does not end this one.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A file of HDF5") struct ReadingHelperTests {
    @Test("that is damaged anywhere is refused or loaded, and never crashes this process")
    func damaged() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let good = try FileSystem.read(Fixtures.path("torch-basic.h5"))
        var state: UInt64 = 4
        for _ in 0..<60 {
            var bytes = good
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % min(bytes.count, 8192)] = UInt8(truncatingIfNeeded: state >> 24)
            }
            var file = try AtomicFile(folder + "/x.h5")
            try file.write(bytes)
            try file.commit()
            do {
                _ = try load(folder + "/x.h5")
            } catch {
                #expect(error is CheckpointError)
            }
        }
    }

    @Test("on which the library turns in circles is given up after seconds")
    func endless() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var bytes = try FileSystem.read(Fixtures.path("keras-odd.h5"))
        // The size of the first object in the first global heap: the next one begins before it.
        let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("GCOL".utf8)) })
        bytes.replaceSubrange(heap + 24..<heap + 32, with: (UInt64.max - 15).littleEndianBytes)
        var file = try AtomicFile(folder + "/x.h5")
        try file.write(bytes)
        try file.commit()
        let clock = ContinuousClock()
        let start = clock.now
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/x.h5") }
        #expect(error?.description.contains("more time") == true, "\(error?.description ?? "")")
        #expect(clock.now - start < .seconds(55))
    }

    @Test("cannot be read without its helper, and says so") func noHelper() {
        let error = #expect(throws: CheckpointError.self) {
            try WeightFile(Fixtures.path("torch-basic.h5"), helper: "/none/helper")
        }
        #expect(error?.kind == .helperMissing)
    }
}
