// The memory and the time that one picture may cost, from the size of its file and then from its pixels.

internal import Glibc

/// Limits of this process, drawn anew for each picture.
struct Budget {
    /// Bytes of address space that the process takes without any picture.
    private let idle = Self.addressSpace

    /// What a file's structure may take before its pixels are known.
    private static let structure = 64 << 20
    /// The most that a decoder takes for a pixel: several planes of 16 bits or floats, and copies that it turns.
    private static let bytesPerPixel = 48
    /// Seconds of the processor for a file, before its pixels.
    private static let seconds = 5
    /// Pixels that even a slow processor decodes in a second.
    private static let pixelsPerSecond = 1 << 20
    /// Seconds of waiting for each of the processor: other programs run, too.
    private static let patience = 10

    /// Sets what does not depend on a picture; false if the system refuses.
    func begin() -> Bool { set(RLIMIT_CORE, 0) && set(RLIMIT_AS, idle + 1 << 30) }

    /// Before a file is looked at.
    func open(fileSize: Int) { limit(bytes: Self.structure + 8 * fileSize, seconds: Self.seconds + fileSize >> 24) }

    /// Before its pixels are decoded.
    func extend(pixels: Int, fileSize: Int) {
        limit(
            bytes: 2 * Self.structure + 8 * fileSize + Self.bytesPerPixel * pixels,
            seconds: Self.seconds + fileSize >> 24 + pixels / Self.pixelsPerSecond)
    }

    /// After a picture: a process that waits costs no time.
    func close() {
        var none = itimerval()
        setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &none, nil)
    }

    /// Past the limit of the processor's time comes SIGXCPU, past that of waiting SIGALRM; both end the process.
    private func limit(bytes: Int, seconds: Int) {
        _ = set(RLIMIT_AS, idle + bytes)
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        _ = set(RLIMIT_CPU, Int(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1 + seconds)
        var timer = itimerval()
        timer.it_value.tv_sec = time_t(seconds * Self.patience)
        setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
    }

    /// Only the soft limit, which the next picture moves; a tighter one that the process was started with stays.
    private func set(_ resource: __rlimit_resource, _ value: Int) -> Bool {
        var limit = rlimit()
        let kind = __rlimit_resource_t(resource.rawValue)
        guard getrlimit(kind, &limit) == 0 else { return false }
        limit.rlim_cur = min(rlim_t(value), limit.rlim_max)
        return setrlimit(kind, &limit) == 0
    }

    private static var addressSpace: Int {
        // The first number of statm is the size in pages.
        guard let file = fopen("/proc/self/statm", "r") else { return 1 << 30 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 64)
        guard fgets(&text, 64, file) != nil else { return 1 << 30 }
        return strtol(text, nil, 10) * sysconf(Int32(_SC_PAGESIZE))
    }
}
