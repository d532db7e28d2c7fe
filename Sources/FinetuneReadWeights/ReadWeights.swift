// finetune-read-weights FILE | --descriptor N: the only process that lets libhdf5 read a file which somebody else made.
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
        let arguments = CommandLine.arguments.dropFirst()
        let image = arguments.count == 2 && arguments.first == "--descriptor" ? arguments.last.flatMap(Int32.init) : nil
        guard let path = arguments.last, arguments.count == 1 || image != nil else {
            finish(failure: "finetune-read-weights is run by finetune, on one file", code: 64)
        }
        do {
            let size = try fileSize(path, image)
            listenToSignals()
            try limitResources(fileSize: size)
            finetune_h5_silence()
            H5PLset_loading_state(0)
            guard LZFFilter.register() else { throw ReadFailure(description: "libhdf5 takes no filter") }
            try confine(mayOpen: true)
            let reader = try HDF5Reader(image.map { .descriptor($0) } ?? .path(path), fileSize: size)
            try confine(mayOpen: false)
            try reader.walk()
            try reader.readData(into: 3)
            finish(printing: reader.index)
        } catch let failure as ReadFailure {
            finish(failure: failure.description, code: 65)
        } catch {
            exit(1)
        }
    }

    private static func fileSize(_ path: String, _ image: Int32?) throws -> Int {
        var status = stat()
        guard (image.map { fstat($0, &status) } ?? stat(path, &status)) == 0 else {
            throw ReadFailure(description: String(cString: strerror(errno)))
        }
        return Int(status.st_size)
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
            limit = rlimit(rlim_cur: min(soft, limit.rlim_max), rlim_max: min(hard, limit.rlim_max))
            guard isKnown, setrlimit(kind, &limit) == 0 else {
                throw ReadFailure(description: "the system refuses to limit the process that reads it")
            }
        }
    }

    /// Takes back the signal mask that a process inherits from the thread that started it; Swift's own block SIGXCPU.
    private static func listenToSignals() {
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
    }

    private static func confine(mayOpen: Bool) throws {
        guard finetune_confine(mayOpen ? 1 : 0) == 0 else {
            throw ReadFailure(
                description:
                    "the system refuses to confine the process that reads it (seccomp: \(String(cString: strerror(errno))))"
            )
        }
    }

    private static func finish(failure: String, code: Int32) -> Never {
        finish(printing: .object([.init("failure", .string(failure))]), code: code)
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
}
