// finetune-read-weights FILE: the only process in which libhdf5 reads files.
//
// libhdf5 is not safe on hostile files, whatever its caller checks. So it runs here, under limits of memory, time and
// system calls that are set before it sees the file; a crash or a hang ends this process and nothing else. What was
// read goes to descriptor 3, shared memory of the parent, as 32-bit floats; an index in JSON goes to standard output.

internal import CFinetuneHDF5
internal import CFinetuneSeccomp
internal import FinetuneFiles
internal import Glibc

@main
struct ReadWeights {
    static func main() {
        let arguments = FileSystem.arguments
        guard let path = arguments.first, arguments.count == 1 else {
            finish(ReadFailure(description: "finetune-read-weights is run by finetune, on one file"), code: 64)
        }
        do {
            let (file, size) = try FileSystem.openRegular(path)
            finetune_die_with_parent()  // If the parent is killed, the answer is of no use.
            listenToSignals()
            try limitResources(fileSize: size)
            finetune_h5_begin()
            H5PLset_loading_state(0)
            guard LZFFilter.register() else { throw ReadFailure(description: "libhdf5 takes no filter") }
            try confine()
            let reader = try HDF5Reader(file, fileSize: size)
            try reader.walk()
            try reader.readData(into: 3)
            finish(printing: reader.index)
        } catch let failure as ReadFailure {
            finish(failure, code: 65)
        } catch let error as FileError {
            finish(ReadFailure(description: error.description, isOfSystem: true), code: 65)
        } catch {
            exit(1)
        }
    }

    /// Bounds memory, processor time and core files, for whatever the file makes the library do.
    ///
    /// A small file is given up within a second or two of turning in circles; a large one may take its time.
    private static func limitResources(fileSize: Int) throws {
        let size = rlim_t(min(fileSize, 1 << 40))
        let time = 1 + size / (16 << 20)
        // The library and its caches, and what `HDF5Reader` lets the data take.
        let memory = 96 << 20 + rlim_t(HDF5Reader.byteBudget(fileSize: fileSize))
        // Past the first limit of time comes SIGXCPU, which says why; at equal limits SIGKILL would come instead.
        let limits: [(__rlimit_resource, soft: rlim_t, hard: rlim_t)] = [
            (RLIMIT_AS, memory, memory), (RLIMIT_CPU, time, time + 1), (RLIMIT_CORE, 0, 0),
        ]
        for (resource, soft, hard) in limits {
            var limit = rlimit()
            let kind = __rlimit_resource_t(resource.rawValue)
            // Whoever started the program may have set tighter ones.
            let isKnown = getrlimit(kind, &limit) == 0
            if resource == RLIMIT_AS, limit.rlim_cur < memory { ReadFailure.tightMemory = Int(limit.rlim_cur) }
            limit = rlimit(rlim_cur: min(soft, limit.rlim_max), rlim_max: min(hard, limit.rlim_max))
            guard isKnown, setrlimit(kind, &limit) == 0 else {
                throw ReadFailure(
                    description: "the system refuses to limit the process that reads it", isOfSystem: true)
            }
        }
    }

    /// Takes back the signal mask that a process inherits from the thread that started it; Swift's own block SIGXCPU.
    private static func listenToSignals() {
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        // Shared memory counts as a file; that it may not grow is an error then, with a reason.
        signal(SIGXFSZ, SIG_IGN)
    }

    private static func confine() throws {
        guard finetune_confine() == 0 else {
            throw ReadFailure(
                description:
                    "the system refuses to confine the process that reads it (seccomp: \(FileError.reason(errno)))",
                isOfSystem: true)
        }
    }

    private static func finish(_ failure: ReadFailure, code: Int32) -> Never {
        finish(
            printing: ["failure": .string(failure.words), "system": .bool(failure.isOfSystem)], code: code)
    }

    /// Writes the index and ends at once: nothing is left to tidy, and libhdf5's own tidying may crash.
    private static func finish(printing index: JSON, code: Int32 = 0) -> Never {
        let bytes = Array(index.text.utf8)
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if written <= 0 { _exit(1) }
            start += written
        }
        _exit(code)
    }
}

/// Why nothing could be read.
struct ReadFailure: Error, CustomStringConvertible {
    let description: String
    /// Whether the system is in the way, and not the file.
    var isOfSystem = false

    /// The limit of memory in bytes, if it is lower than this process needs; nil if it is not.
    nonisolated(unsafe) static var tightMemory: Int?  // This process has one thread.

    /// What is said of it: a file that is damaged and one that found no memory may look the same to the library.
    var words: String {
        guard let memory = Self.tightMemory else { return description }
        return "\(description); memory is limited to \(memory >> 20) MiB (ulimit -v), which may be the reason"
    }
}
