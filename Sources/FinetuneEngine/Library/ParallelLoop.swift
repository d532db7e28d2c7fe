// Our own loops on oneDNN's threads: one pool computes, and no second one spins beside it.

internal import CFinetuneDNNL

/// Runs parts of a loop side by side. To be called on the engine's thread, whose count of threads it uses.
enum ParallelLoop {
    /// Calls `body` with every index below `count`; which thread has which index is fixed by their count.
    static func run(_ count: Int, _ body: (Int) -> Void) {
        guard count > 1 else {
            if count == 1 { body(0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var work = Work(count: count, body: body)
            withUnsafeMutablePointer(to: &work) { pointer in
                GOMP_parallel(
                    { context in
                        guard let work = context?.assumingMemoryBound(to: Work.self) else { return }
                        let step = Int(omp_get_num_threads())
                        for index in stride(from: Int(omp_get_thread_num()), to: work.pointee.count, by: step) {
                            work.pointee.body(index)
                        }
                    }, pointer, 0, 0)
            }
        }
    }

    /// Calls `body` with consecutive ranges that cover `0..<count`, each of `grain` but the last.
    static func run(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        run((count + grain - 1) / grain) { body($0 * grain..<min(($0 + 1) * grain, count)) }
    }

    /// Lets this thread lead `count` threads, in oneDNN's loops as well, while `body` runs.
    static func withThreads<Result>(_ count: Int, _ body: () throws -> Result) rethrows -> Result {
        let own = omp_get_max_threads()
        finetune_lead_threads(Int32(count))
        defer { omp_set_num_threads(own) }
        return try body()
    }

    private struct Work {
        let count: Int
        let body: (Int) -> Void
    }
}
