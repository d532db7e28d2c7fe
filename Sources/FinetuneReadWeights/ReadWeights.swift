// finetune-read-weights FILE: the only process that lets libhdf5 read a file which somebody else made.
//
// libhdf5 is not safe on hostile files, whatever its caller checks. So it runs here, under limits that are set before
// the file is opened; a crash or a hang ends this process and nothing else. What was read goes to descriptor 3, shared
// memory of the parent, as 32-bit floats; an index in JSON goes to standard output.

internal import CFinetuneHDF5
internal import FinetuneFiles
internal import Glibc

@main
struct ReadWeights {
    static func main() {
        guard CommandLine.arguments.count == 2 else {
            print(JSON.object([.init("failure", "finetune-read-weights is run by finetune, on one file")]).text)
            exit(64)
        }
        let path = CommandLine.arguments[1]
        do {
            try limitResources(fileSize: fileSize(path))
            finetune_h5_silence()
            H5PLset_loading_state(0)
            listenToSignals()
            try limitTime(seconds: 10)
            let reader = try HDF5Reader(path)
            try reader.walk()
            try limitTime(seconds: 60)
            try reader.readData(into: 3)
            print(reader.index.text)
        } catch let failure as ReadFailure {
            print(JSON.object([.init("failure", .string(failure.description))]).text)
            exit(65)
        } catch {
            exit(1)
        }
    }

    private static func fileSize(_ path: String) throws -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ReadFailure(description: String(cString: strerror(errno))) }
        return UInt64(status.st_size)
    }

    /// Bounds memory and core files, for whatever the file makes the library do.
    private static func limitResources(fileSize: UInt64) throws {
        let limits: [(__rlimit_resource, rlim_t)] = [
            (RLIMIT_AS, 1 << 30 + rlim_t(min(fileSize, 1 << 36)) * 4), (RLIMIT_CORE, 0),
        ]
        for (resource, amount) in limits {
            var limit = rlimit(rlim_cur: amount, rlim_max: amount)
            guard setrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else {
                throw ReadFailure(description: "the system refuses to limit this process")
            }
        }
    }

    /// Takes back the signal mask that a process inherits from the thread that started it; Swift's own block SIGXCPU.
    private static func listenToSignals() {
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
    }

    /// Bounds the processor time since the start; past it comes SIGXCPU. What describes the data is small, so a file on
    /// which the library turns in circles is given up long before one whose data are large.
    private static func limitTime(seconds: rlim_t) throws {
        // At equal limits SIGKILL would come instead, which does not say why.
        var limit = rlimit(rlim_cur: seconds, rlim_max: 61)
        guard setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &limit) == 0 else {
            throw ReadFailure(description: "the system refuses to limit this process")
        }
    }
}

/// Why nothing could be read.
struct ReadFailure: Error, CustomStringConvertible {
    let description: String
}
