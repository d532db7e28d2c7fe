// The threads on which every call of oneDNN is made.
//
// libgomp keeps a pool of workers for each thread that calls it, and `omp_set_num_threads` holds for the caller
// alone; a Swift task changes threads at every `await`. So programs are actors whose executor is such a thread.
//
// What falls into independent parts, as images do in inference, runs on lanes: threads that each compute alone. They
// wait for nobody, so that no processor is idle or spins while another decodes a picture.

internal import CFinetuneDNNL
internal import Glibc
internal import Synchronization

/// A serial executor with a thread of its own, which leads `count` threads of computation.
package final class EngineThread: SerialExecutor, @unchecked Sendable {
    // Unchecked: `jobs` and `madeLanes` are guarded by `mutex`.
    /// How many threads compute.
    package let count: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var thread = pthread_t()
    private var madeLanes: [EngineThread] = []
    private let unknownKernels: UnknownKernels

    /// Starts the thread. It lives as long as the process: one program has one engine thread, and its lanes.
    ///
    /// - Parameters:
    ///   - threads: At least 1; more than the processor has cores is legal and slow. OMP_THREAD_LIMIT may allow fewer.
    ///   - report: Called once with the name of every kernel of oneDNN that `KernelName` does not know, from any thread.
    package convenience init(threads: Int, onUnknownKernel report: @escaping @Sendable (String) -> Void) {
        self.init(threads: threads, UnknownKernels(report))
    }

    private init(threads: Int, _ unknownKernels: UnknownKernels) {
        precondition(threads >= 1, "an engine needs a thread")
        count = min(threads, Int(omp_get_thread_limit()))
        self.unknownKernels = unknownKernels
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        let context = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<EngineThread>.fromOpaque(context).takeUnretainedValue().work()
                return nil
            }, context)
        precondition(status == 0, "the system refuses to start a thread")
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// As many threads as this one leads, each of which computes alone. They are started when they are first asked for.
    package var lanes: [EngineThread] {
        guard count > 1 else { return [self] }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if madeLanes.isEmpty {
            madeLanes = (0..<count).map { _ in EngineThread(threads: 1, unknownKernels) }
        }
        return madeLanes
    }

    /// Reports kernels whose names are unknown, each once for this thread and its lanes.
    func report(unknownKernels names: Set<String>) { unknownKernels.report(names) }

    /// Says where unknown kernels are reported from now on. Those that are known to be unknown are reported again.
    package func reportUnknownKernels(to report: @escaping @Sendable (String) -> Void) {
        unknownKernels.report(to: report)
    }

    private func work() {
        finetune_lead_threads(Int32(count))
        LinearAlgebra.useOneThread()
        while true {
            pthread_mutex_lock(mutex)
            while jobs.isEmpty { pthread_cond_wait(condition, mutex) }
            let job = jobs.removeFirst()
            pthread_mutex_unlock(mutex)
            job.runSynchronously(on: asUnownedSerialExecutor())
        }
    }
}

/// The unknown kernels that a thread and its lanes have met.
private final class UnknownKernels: Sendable {
    private let state: Mutex<(names: Set<String>, report: @Sendable (String) -> Void)>

    init(_ report: @escaping @Sendable (String) -> Void) { state = Mutex((names: [], report: report)) }

    func report(_ names: Set<String>) {
        guard !names.isEmpty else { return }
        let (new, report) = state.withLock { state in
            let new = names.subtracting(state.names)
            state.names.formUnion(new)
            return (new.sorted(), state.report)
        }
        for name in new { report(name) }
    }

    func report(to report: @escaping @Sendable (String) -> Void) {
        let names = state.withLock { state in
            state.report = report
            return state.names.sorted()
        }
        for name in names { report(name) }
    }
}
