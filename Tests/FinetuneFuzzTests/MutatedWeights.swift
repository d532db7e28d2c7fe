// Damaged HDF5 files through the whole way in: helper, index, dialect, model. The same seed gives the same files.

internal import FinetuneFiles
internal import FinetuneModels
internal import Glibc

@testable internal import FinetuneCheckpoints

/// Loads mutated copies of the weight files among the fixtures and counts what became of them.
struct MutatedWeights {
    private let helper: String
    private let folder: String
    private let seed: UInt64
    private var originals: [(name: String, mutator: Mutator)] = []

    /// - Parameters:
    ///   - helper: The path of `finetune-read-weights`.
    ///   - tests: The folder of the test targets.
    ///   - folder: Where the file under test, findings and the slowest file go.
    init(helper: String, tests: String, folder: String, seed: UInt64) throws {
        (self.helper, self.folder, self.seed) = (helper, folder, seed)
        try FileSystem.makeDirectory(folder)
        for path in try FuzzTarget.fixtures(in: tests) where path.hasSuffix(".h5") {
            let name = Path.stem(of: path)
            originals.append((name, Mutator(try FileSystem.read(path))))
            // The same model in our own format, of which there is no fixture.
            guard var model = try? WeightFile(path, helper: helper).model() else { continue }
            model.classes = model.headOutputs.map { count in (0..<count).map { "class \($0)" } }
            let own = Path.join(folder, "own-\(seed).h5")
            try ModelFile.write(model, to: own)
            originals.append(("own-\(name)", Mutator(try FileSystem.read(own))))
            FileSystem.remove(own)
        }
        guard !originals.isEmpty else { throw FileError(.missing, "there are no weight files under '\(tests)'") }
    }

    /// - Returns: Whether every file was loaded or refused as it should be.
    mutating func run(_ runs: Int) throws -> Bool {
        var (loaded, refused, findings) = (0, 0, 0)
        // How often each signal ended the helper; 0 where its time was up.
        var signals: [Int32: Int] = [:]
        var slowest: (milliseconds: Int, name: String) = (0, "")
        let path = Path.join(folder, "current-\(seed).h5")
        for number in 0..<runs {
            let original = originals[number % originals.count]
            var dice = SplitMix64(state: seed &* 0x9E37_79B9 &+ UInt64(number) &* 0xD134_2543_DE82_EF95)
            let bytes = original.mutator.mutated(using: &dice)
            try write(bytes, to: path)
            let start = milliseconds()
            defer {
                let elapsed = milliseconds() - start
                if elapsed > slowest.milliseconds {
                    slowest = (elapsed, original.name)
                    try? write(bytes, to: Path.join(folder, "slowest-\(seed).h5"))
                }
            }
            func keep(_ reason: String) throws {
                findings += 1
                let name = "hdf5-\(seed)-\(number)-\(original.name).h5"
                print("finding: \(name) \(reason)")
                try write(bytes, to: Path.join(folder, name))
            }
            do {
                _ = try WeightFile(path, helper: helper).model()
                loaded += 1
            } catch let error as CheckpointError where error.kind == .malformed {
                refused += 1
                guard let signal = signal(in: error.description) else { continue }
                signals[signal, default: 0] += 1
                try write(bytes, to: Path.join(folder, "signal-\(signal)-\(seed)-\(number)-\(original.name).h5"))
                // The library may crash; our own code may not, and that is how Swift's checks end.
                if signal == SIGILL || signal == SIGTRAP { try keep("ended the helper by a check of our own") }
            } catch let error as FileError where error.kind == .malformed {
                refused += 1
            } catch {
                try keep("threw a \(type(of: error)): \(error)")
            }
        }
        FileSystem.remove(path)
        let killed = signals.sorted { $0.key < $1.key }.map { "\($0.value)× \($0.key)" }.joined(separator: ", ")
        print(
            "hdf5 seed \(seed): \(runs) files, \(loaded) loaded, \(refused) refused "
                + "(helper ended by signals: \(killed.isEmpty ? "none" : killed)), \(findings) findings, "
                + "slowest \(slowest.milliseconds) ms (of \(slowest.name))")
        return findings == 0
    }

    /// The signal in a message like `crash (signal 11)`.
    private func signal(in text: String) -> Int32? {
        if text.contains("reading it took too long") { return 0 }
        return text.firstRange(of: "(signal ").flatMap { Int32(text[$0.upperBound...].prefix(while: \.isNumber)) }
    }

    private func milliseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}
