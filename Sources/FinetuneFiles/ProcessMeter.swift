// What this process took: time on the clock, time of its processors, and the most memory that it held.

internal import Glibc

/// Time that work took.
package struct ProcessTime: Sendable, Equatable {
    package var seconds: Double
    /// Of all threads together.
    package var processorSeconds: Double

    package init(seconds: Double = 0, processorSeconds: Double = 0) {
        self.seconds = seconds
        self.processorSeconds = processorSeconds
    }

    package static func + (a: ProcessTime, b: ProcessTime) -> ProcessTime {
        ProcessTime(seconds: a.seconds + b.seconds, processorSeconds: a.processorSeconds + b.processorSeconds)
    }

    package static func += (a: inout ProcessTime, b: ProcessTime) { a = a + b }

    /// `[seconds, processorSeconds]`
    package var json: JSON { JSON([seconds, processorSeconds]) }

    /// What `json` gave; nil for anything else.
    package init?(_ json: JSON) {
        guard let numbers = json.arrayValue?.compactMap(\.doubleValue), numbers.count == 2 else { return nil }
        self.init(seconds: numbers[0], processorSeconds: numbers[1])
    }
}

/// Measures from where it is made.
package struct ProcessMeter: Sendable {
    private let started = ContinuousClock.now
    private let isOfThread: Bool
    private let processorStart: Double

    /// - Parameter ofThread: Whether processor time is the calling thread's alone, on which `time` is then asked, too.
    package init(ofThread isOfThread: Bool = false) {
        self.isOfThread = isOfThread
        processorStart = Self.processorSeconds(isOfThread)
    }

    /// Since the meter was made.
    package var time: ProcessTime {
        let elapsed = (ContinuousClock.now - started).components
        return ProcessTime(
            seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18,
            processorSeconds: Self.processorSeconds(isOfThread) - processorStart)
    }

    private static func processorSeconds(_ isOfThread: Bool) -> Double {
        var time = timespec()
        clock_gettime(isOfThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    // MARK: Memory

    /// The most memory that this process, or a helper of it, held at once since it began, in MiB.
    package static var peakMegabytes: Double {
        var usage = rusage()
        let peaks = [RUSAGE_SELF, RUSAGE_CHILDREN].map { who in
            getrusage(__rusage_who_t(who.rawValue), &usage) == 0 ? Double(usage.ru_maxrss) / 1024 : 0
        }
        return peaks.max() ?? 0
    }

    /// Begins to count anew for `recentPeakMegabytes`. Where the system does not let it, the peak since the start counts.
    package static func forgetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "we") else { return }
        fputs("5", file)
        fclose(file)
    }

    /// The most memory that this process held at once since `forgetPeak`, in MiB.
    package static var recentPeakMegabytes: Double {
        let status = (try? FileSystem.head(of: "/proc/self/status", count: 1 << 14)) ?? []
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) }
        return kilobytes.map { $0 / 1024 } ?? peakMegabytes
    }
}
