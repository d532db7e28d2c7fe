// If the system refuses a thread, Swift's runtime tries again for ever; if it refuses memory, OpenBLAS does. This ends such
// waits with a sentence.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc
internal import Synchronization

enum ThreadShortage {
    /// Seconds between two checks.
    private static let interval: UInt32 = 2
    /// Checks in a row that find the program idle and a thread refused, before the program ends.
    private static let patience = 3
    /// Checks in a row without any news from the command and with memory refused, before the program ends.
    private static let patienceWithMemory = 30
    /// Seconds of processor time between two checks below which the program counts as idle.
    private static let idle = 0.01

    private static let news = Atomic(0)

    /// Notes that the command got on.
    static func noteNews() { news.add(1, ordering: .relaxed) }

    /// Ends the program if it waits for a thread, or for memory, that the system keeps refusing.
    static func watch() {
        let isWatched = BackgroundThread.start {
            var (withoutThread, withoutMemory) = (0, 0)
            while true {
                let meter = ProcessMeter()
                let before = news.load(ordering: .relaxed)
                sleep(interval)
                let isIdle = meter.time.processorSeconds < idle
                withoutThread = isIdle && !BackgroundThread.start({}) ? withoutThread + 1 : 0
                let isStuck = news.load(ordering: .relaxed) == before && !Machine.hasMatrixMemory(threads: 1)
                withoutMemory = isStuck ? withoutMemory + 1 : 0
                if withoutThread == patience { end("thread") }
                if withoutMemory == patienceWithMemory { end("memory") }
            }
        }
        if !isWatched { end("thread") }
    }

    /// Why the system gives no more, as far as its limits tell.
    static var reason: String {
        var limit = rlimit()
        let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 && limit.rlim_cur != .max
        return isLimited
            ? "memory is limited to \(limit.rlim_cur >> 20) MiB (ulimit -v)"
            : "memory has run out, or the number of threads is limited (ulimit -u, or the container's limit)"
    }

    private static func end(_ thing: String) -> Never {
        StandardStream.error.write("finetune: the system gives no further \(thing): \(reason). Raise the limit.\n")
        ProgramEnd.now(.unexpected)
    }
}
