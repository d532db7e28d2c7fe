// What launchers say to the processes that they start, and a run of one process.

import FinetuneRanks
import Testing

@Suite("A launcher") struct LauncherTests {
    @Test(
        "is known by what it leaves in the environment",
        arguments: [
            (["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "1"], "mpirun", 1, 4),
            (["PMIX_RANK": "3", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "16"], "srun", 3, 8),
            (["PMI_RANK": "0", "PMI_SIZE": "2"], "a launcher of MPI programs", 0, 2),
        ])
    func isKnown(variables: [String: String], name: String, rank: Int, count: Int) {
        let launcher = Launcher { variables[$0] }
        #expect(launcher?.name == name && launcher?.rank == rank && launcher?.count == count)
    }

    @Test(
        "is none in a shell, or in a batch script of Slurm, which is one process whatever was allocated",
        arguments: [[:], ["SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"]])
    func isNone(variables: [String: String]) {
        #expect(Launcher { variables[$0] } == nil)
    }
}

@Suite("A run of one process") struct AloneTests {
    private let ranks = Ranks.alone

    @Test("agrees with itself, and its sums are its numbers")
    func exchangesNothing() {
        #expect(ranks.isFirst && ranks.count == 1 && ranks.shard == 0)
        #expect(ranks.agree("path") == "path" && ranks.agree(0.5) == 0.5)
        #expect(ranks.sum([1, 2]) == [1, 2] && ranks.gather([3, 4]) == [[3.0, 4]])
        #expect(ranks.owns(17) && ranks.rows(of: 5) == 0..<5)
        var values: [Float] = [1, 2, 3]
        values.withUnsafeMutableBufferPointer { values in
            guard let start = values.baseAddress else { return }
            ranks.spread(values)
            ranks.beginSum(start, count: 3)
            ranks.advanceSums()
            ranks.finishSums()
        }
        #expect(values == [1, 2, 3])
    }

    @Test("takes all parts of some work, in order")
    func deals() async throws {
        var taken: [Int] = []
        try await Deal.run(3, among: ranks) { deal in
            while let part = try await deal.next() {
                taken.append(part)
                #expect(deal.dealt == taken.count)
            }
            let none = try await deal.next()
            #expect(none == nil && deal.dealt == 3)
        }
        #expect(taken == [0, 1, 2])
    }
}
