// A short version of scripts/fuzz for every test run: the parsers take their seeds and damaged copies of them.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints
@testable import FinetuneEngine

/// A folder for parsers that take paths.
let scratchFolder: String = {
    do { return try Fixtures.temporaryFolder() } catch { fatalError("\(error)") }
}()

extension FuzzTarget: CustomTestStringConvertible {
    var testDescription: String { name }
}

@Suite("Parsers under fuzzing", .serialized) struct SeedTests {
    private static let tests = Path.join(Fixtures.package, "Tests")

    @Test("take their seeds and damaged copies of them without a finding", arguments: FuzzTarget.all)
    func seeds(_ target: FuzzTarget) throws {
        let seeds = try target.allSeeds(tests: Self.tests)
        #expect(!seeds.isEmpty)
        var dice = SplitMix64(state: 1)
        for seed in seeds {
            #expect(target.finding(seed.bytes) == nil, "\(seed.name)")
            // A library that crashes would end all tests; PictureMutationTests damages these files where it may.
            for _ in 0..<20 where !seed.bytes.isEmpty && !target.isForeign {
                var bytes = seed.bytes
                for _ in 0..<Int.random(in: 1...4, using: &dice) {
                    bytes[Int.random(in: 0..<bytes.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
                }
                if Bool.random(using: &dice) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &dice)) }
                #expect(target.finding(bytes) == nil, "\(bytes)")
            }
        }
    }

    @Test("name sources that are there", arguments: FuzzTarget.all)
    func sources(_ target: FuzzTarget) {
        for source in target.sources {
            #expect(FileSystem.kind(of: Path.join(Fixtures.package, "Sources/\(source)")) != nil, "\(source)")
        }
    }

    @Test("name a finding: an error of another room, and a check that fails")
    func findings() {
        struct Foreign: Error {}
        func target(_ run: @escaping @Sendable ([UInt8]) throws -> Void) -> FuzzTarget {
            FuzzTarget(name: "planted", maximumCount: 1, sources: [], errors: [FileError.self], run: run)
        }
        #expect(target { _ in }.finding([]) == nil)
        #expect(target { _ in throw FileError(.malformed, "refused") }.finding([]) == nil)
        #expect(target { _ in throw Foreign() }.finding([])?.contains("Foreign") == true)
        #expect(target { _ in try require(false, "numbers are missing") }.finding([]) == "numbers are missing")
    }

    @Test("have every operation of networks among the seeds, and all their words")
    func operations() throws {
        var numbers: Set<Int> = []
        for seed in FuzzTarget.networks {
            let json = try JSON(parsing: seed)
            for node in try Network(json: json).nodes { numbers.insert(node.operation.number) }
            for node in json["nodes"]?.arrayValue ?? [] {
                for member in node.members ?? [] where member.key != "inputs" {
                    #expect(FuzzTarget.networkWords.contains("\"\(member.key)\""), "\(member.key)")
                }
                let operation = try #require(node["operation"]?.stringValue)
                #expect(FuzzTarget.networkWords.contains("\"\(operation)\""), "\(operation)")
            }
        }
        #expect(numbers == Set(0..<FinetuneEngine.Operation.count))
    }

    @Test("read damaged HDF5 files through the helper, or refuse them")
    func damagedWeights() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var weights = try MutatedWeights(
            helper: Fixtures.readingHelper, tests: Self.tests, folder: folder, seed: 1)
        #expect(try weights.run(60))
    }
}

extension FinetuneEngine.Operation {
    fileprivate static let count = 14

    /// A different number for each case, from 0 to `count` − 1; a new case must be added to both, and to the seeds.
    fileprivate var number: Int {
        switch self {
        case .convolution: 0
        case .batchNormalization: 1
        case .activation: 2
        case .addition: 3
        case .channelScaling: 4
        case .maxPooling: 5
        case .averagePooling: 6
        case .globalAveragePooling: 7
        case .zeroPadding: 8
        case .subsampling: 9
        case .channelPadding: 10
        case .flatten: 11
        case .rowNormalization: 12
        case .dense: 13
        }
    }
}
