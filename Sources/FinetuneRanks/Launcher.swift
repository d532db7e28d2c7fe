// What started this process, where that starts several: mpirun, or Slurm's srun.

internal import Glibc

/// A launcher of MPI programs, known by what it says in the environment.
package struct Launcher: Sendable, Equatable {
    package let name: String
    /// The number that it gave this process.
    package let rank: Int
    /// How many it started; nil where it does not say.
    package let count: Int?

    /// The launcher of this process; nil where there is none.
    package static let ofThisProcess = Launcher { name in getenv(name).map { String(cString: $0) } }

    /// - Parameter variable: The value of a variable of the environment.
    package init?(_ variable: (String) -> String?) {
        func number(_ name: String) -> Int? { variable(name).flatMap { Int($0) } }
        if let rank = number("OMPI_COMM_WORLD_RANK") {
            (name, self.rank, count) = ("mpirun", rank, number("OMPI_COMM_WORLD_SIZE"))
        } else if let rank = number("PMIX_RANK") {
            // A batch script of Slurm has its variables too, but no rank.
            (name, self.rank, count) = ("srun", rank, number("SLURM_STEP_NUM_TASKS") ?? number("SLURM_NTASKS"))
        } else if let rank = number("PMI_RANK") {
            (name, self.rank, count) = ("a launcher of MPI programs", rank, number("PMI_SIZE"))
        } else {
            return nil
        }
    }
}
