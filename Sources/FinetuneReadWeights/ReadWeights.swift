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
            let reader = try HDF5Reader(path)
            try reader.walk()
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

    /// Bounds memory, processor time and core files, for whatever the file makes the library do.
    private static func limitResources(fileSize: UInt64) throws {
        let limits: [(__rlimit_resource, rlim_t)] = [
            (RLIMIT_AS, 1 << 30 + rlim_t(min(fileSize, 1 << 36)) * 4), (RLIMIT_CPU, 60), (RLIMIT_CORE, 0),
        ]
        for (resource, amount) in limits {
            var limit = rlimit(rlim_cur: amount, rlim_max: amount)
            guard setrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else {
                throw ReadFailure(description: "the system refuses to limit this process")
            }
        }
    }
}

/// Why nothing could be read.
struct ReadFailure: Error, CustomStringConvertible {
    let description: String
}
