// If the system refuses a thread, Swift's runtime tries again for ever. This ends such a wait with a sentence.

internal import FinetuneFiles
internal import Glibc

enum ThreadShortage {
    /// Seconds between two checks.
    private static let interval: UInt32 = 2
    /// Checks in a row that find the program idle and a thread refused, before the program ends.
    private static let patience = 3
    /// Seconds of processor time between two checks below which the program counts as idle.
    private static let idle = 0.01

    /// Ends the program if it waits for a thread that the system keeps refusing.
    static func watch() {
        let isWatched = BackgroundThread.start {
            var misses = 0
            while true {
                let meter = ProcessMeter()
                sleep(interval)
                let waits = meter.time.processorSeconds < idle
                misses = waits && !BackgroundThread.start({}) ? misses + 1 : 0
                if misses == patience { end() }
            }
        }
        if !isWatched { end() }
    }

    private static func end() -> Never {
        var limit = rlimit()
        let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 && limit.rlim_cur != .max
        let reason =
            isLimited
            ? "memory is limited to \(limit.rlim_cur >> 20) MiB (ulimit -v), which is too little"
            : "the number of processes and threads is limited (ulimit -u, or the container's), or memory has run out"
        StandardStream.error.write("finetune: the system gives no further thread: \(reason).\n")
        ProgramEnd.now(.unexpected)
    }
}
