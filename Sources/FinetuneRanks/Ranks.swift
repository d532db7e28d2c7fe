// The processes that do one run together, on one machine or many: ranks of MPI, or this process alone.
//
// Every rank goes the same way through the program. What falls into independent parts is shared out, each rank keeps
// its parts where all can read them, and then each finds there what it would have computed. What every rank must decide
// alike, the first decides.

internal import Glibc

#if MPI
    internal import CFinetuneMPI
#endif

/// This process among those of its run.
///
/// All ranks must call what is said to be collective, in the same order, and one thread at a time.
package final class Ranks: Sendable {
    /// The number of this process, from 0.
    package let rank: Int
    package let count: Int
    /// The number of the files that this process writes beside other ranks' ones: its own, or 0 for the files of a run of
    /// one process.
    package let shard: Int
    #if MPI
        let channels: Channels?
    #endif

    /// A run of one process.
    package static let alone = Ranks(rank: 0, count: 1, shard: 0)

    /// The first rank prints and writes.
    package var isFirst: Bool { rank == 0 }

    /// This process by itself, beside others that are busy with something else: it shares nothing, and writes files of
    /// its own.
    package var solo: Ranks { count == 1 ? self : Ranks(rank: 0, count: 1, shard: rank) }

    #if MPI
        private init(rank: Int, count: Int, shard: Int, channels: Channels? = nil) {
            (self.rank, self.count, self.shard, self.channels) = (rank, count, shard, channels)
        }
    #else
        private init(rank: Int, count: Int, shard: Int) {
            (self.rank, self.count, self.shard) = (rank, count, shard)
        }
    #endif

    // MARK: Beginning and ending

    /// The ranks of this program's run: one alone where no launcher started it, and then nothing of MPI is touched.
    ///
    /// - Throws: `RanksError` where a launcher started it and this program cannot join the others.
    package static func join() throws -> Ranks {
        guard let launcher = Launcher.ofThisProcess else { return .alone }
        #if MPI
            var (rank, count): (Int32, Int32) = (0, 0)
            finetune_mpi_start(&rank, &count)
            if let said = launcher.count, said != Int(count) {
                throw RanksError(
                    description:
                        "cannot join the other processes: \(launcher.name) started \(said), and this program's MPI (Open MPI) finds \(count). Start it with Open MPI's mpirun, or srun --mpi=pmix."
                )
            }
            return Ranks(
                rank: Int(rank), count: Int(count), shard: Int(rank), channels: count > 1 ? Channels() : nil)
        #else
            throw RanksError(
                description:
                    "cannot run under \(launcher.name): this program was built without MPI, and each of its processes would do the whole run in the same folder. Build it with scripts/setup --mpi and swift build -c release --traits MPI, or start one process without a launcher."
            )
        #endif
    }

    /// Ends MPI, once all ranks come here. Collective.
    package func leave() {
        #if MPI
            guard Launcher.ofThisProcess != nil else { return }
            meet()  // MPI's own waiting takes a whole core from those who still work.
            MPI_Finalize()
        #endif
    }

    /// Ends all ranks at once, as a rank does that failed.
    package func abort(_ status: Int32) -> Never {
        #if MPI
            if count > 1 { MPI_Abort(finetune_mpi_world(), status) }
        #endif
        // At once: what libraries do at the end may wait for threads that never come.
        _exit(status)
    }

    // MARK: Exchanging

    /// Waits until every rank has come here. Collective.
    package func meet() { _ = gather([UInt8]()) }

    /// Gives every rank what each has, by rank. Collective.
    package func gather(_ own: [UInt8]) -> [[UInt8]] {
        #if MPI
            if let channels { return channels.gather(own, rank: rank, count: count) }
        #endif
        return [own]
    }

    /// What the first rank says. Collective.
    package func agree(_ text: String) -> String {
        count == 1 ? text : String(decoding: gather(isFirst ? Array(text.utf8) : [])[0], as: UTF8.self)
    }

    /// The number that the first rank says. Collective.
    package func agree(_ number: Double) -> Double { gather([number])[0][0] }

    /// Gives every rank the numbers that each has, by rank. Collective.
    package func gather(_ own: [Double]) -> [[Double]] {
        guard count > 1 else { return [own] }
        return gather(own.withUnsafeBytes { Array($0) }).map { bytes in
            [Double](unsafeUninitializedCapacity: bytes.count / 8) { numbers, written in
                UnsafeMutableRawBufferPointer(numbers).copyBytes(from: bytes)
                written = bytes.count / 8
            }
        }
    }

    /// The sums of the ranks' numbers, added in the order of ranks. Collective.
    package func sum(_ own: [Double]) -> [Double] {
        let all = gather(own)
        return all.dropFirst().reduce(all[0]) { zip($0, $1).map(+) }
    }

    /// Gives every rank the first one's floats, in place. Collective.
    package func spread(_ values: UnsafeMutableBufferPointer<Float>) {
        #if MPI
            channels?.spread(UnsafeMutableRawBufferPointer(values))
        #endif
    }

    // MARK: Sharing out

    /// Whether something is this rank's by its hash.
    package func owns(_ hash: UInt64) -> Bool { hash % UInt64(count) == UInt64(rank) }

    /// This rank's rows among some, that of the others being as many or one less.
    package func rows(of total: Int) -> Range<Int> { rank * total / count..<(rank + 1) * total / count }

    // MARK: Adding up gradients

    /// Begins to replace floats by their sums over ranks, which are there after `finishSums`. Nobody may touch them in
    /// between. Sums are taken in the order of ranks, so that a run repeats bit for bit. Collective.
    package func beginSum(_ values: UnsafeMutablePointer<Float>, count: Int) {
        #if MPI
            channels?.beginSum(values, count, rank: rank, ranks: self.count)
        #endif
    }

    /// Lets sums that were begun go on while something else is computed.
    package func advanceSums() {
        #if MPI
            channels?.advanceSums(rank: rank, waits: false)
        #endif
    }

    /// Waits for all sums that were begun. Collective.
    package func finishSums() {
        #if MPI
            channels?.advanceSums(rank: rank, waits: true)
        #endif
    }
}

/// Why this process cannot be one of several.
package struct RanksError: Error, CustomStringConvertible {
    package let description: String
}
