// Where the system gives no more threads, Swift's runtime waits for better times, for ever. This ends such a wait.

internal import FinetuneFiles
internal import Glibc

enum ThreadShortage {
    /// Seconds between two looks.
    private static let interval: UInt32 = 2
    /// Looks in a row that find the program waiting and no thread to be had, before it ends.
    private static let patience = 3
    /// Seconds of processor time between two looks below which the program waits.
    private static let idle = 0.01

    /// Ends the program with a sentence as soon as it waits for a thread that it will not get.
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
