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
    private let unknownKernels = Mutex<Set<String>>([])
    private let reportUnknownKernel: @Sendable (String) -> Void

    /// Starts the thread. It lives as long as the process: one program has one engine thread, and its lanes.
    ///
    /// - Parameters:
    ///   - threads: At least 1; more than the processor has cores is legal and slow. OMP_THREAD_LIMIT may allow fewer.
    ///   - report: Called once with the name of every kernel of oneDNN that `KernelName` does not know, from any thread.
    package init(threads: Int, onUnknownKernel report: @escaping @Sendable (String) -> Void) {
        precondition(threads >= 1, "an engine needs a thread")
        count = min(threads, Int(omp_get_thread_limit()))
        reportUnknownKernel = report
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
            madeLanes = (0..<count).map { _ in
                EngineThread(threads: 1) { [unowned self] name in reportIfNew(name) }
            }
        }
        return madeLanes
    }

    /// Reports the unknown kernels of a program.
    func report(_ kernels: [ChosenKernel]) {
        for kernel in kernels where !KernelName(kernel.name).isKnown { reportIfNew(kernel.name) }
    }

    private func reportIfNew(_ name: String) {
        if unknownKernels.withLock({ $0.insert(name).inserted }) { reportUnknownKernel(name) }
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
