// Runs finetune-read-weights on a file and takes over what it read, without a copy.

internal import CFinetuneHDF5
internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// The program that reads HDF5 for us, because the library may crash or hang on a hostile file.
enum ReadingHelper {
    /// Where an HDF5 file is.
    enum Source {
        case path(String)
        /// A file in memory, for which there is no path.
        case descriptor(Int32)
    }

    /// Seconds after which a file is given up: a slow disk may take them, the processor's time is limited far below.
    private static let timeLimit = 120

    /// - Parameters:
    ///   - source: The file.
    ///   - path: Its name in messages.
    ///   - helper: The path of `finetune-read-weights`.
    static func read(_ source: Source, shownAs path: String, helper: String) throws -> NamedArrays {
        guard access(helper, X_OK) == 0 else { throw CheckpointError.helperMissing(helper) }
        let memory = memfd_create("finetune-weights", 0)
        guard memory >= 0 else { throw CheckpointError.cannotLoad(path, "the system gives no shared memory") }
        defer { close(memory) }
        let (output, ending) = try run(helper, source, sharing: memory, path)
        let index = try? JSON(parsing: output)  // A helper that crashed leaves half an index; how it ended says why.
        if let failure = index?["failure"]?.stringValue { throw CheckpointError.cannotLoad(path, "\(failure).") }
        guard ending == .done, let index else { throw CheckpointError.cannotLoad(path, ending.words) }
        do {
            return try NamedArrays(index: index, memory: try SharedMemory(memory))
        } catch is NamedArrays.Malformed {
            throw CheckpointError.cannotLoad(path, "reading it went wrong in a way that says nothing. Try: h5dump -H")
        }
    }

    private enum Ending: Equatable {
        case done
        case failed(Int32)
        case killed(Int32)
        case tooSlow

        var words: String {
            switch self {
            case .done: "it was read, yet its index makes no sense."
            case .failed(let code): "the HDF5 library gave up on it (exit \(code)). It is damaged or hostile."
            case .killed(let signal): "it made the HDF5 library crash (signal \(signal)). It is damaged or hostile."
            case .tooSlow: "reading it took more time than such a file needs. It is damaged or hostile."
            }
        }
    }

    /// Starts the helper with `memory` as its descriptor 3 and collects its standard output.
    private static func run(_ helper: String, _ source: Source, sharing memory: Int32, _ path: String) throws -> (
        [UInt8], Ending
    ) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CheckpointError.cannotLoad(path, "the system gives no pipe") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Out of the way of the numbers that the helper knows them by.
        let spare = fcntl(memory, F_DUPFD_CLOEXEC, 10)
        defer { close(spare) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        let arguments: [String]
        switch source {
        case .path(let path): arguments = [helper, path]
        case .descriptor(let file):
            posix_spawn_file_actions_adddup2(&actions, file, 4)
            arguments = [helper, "--descriptor", "4"]
        }
        posix_spawn_file_actions_adddup2(&actions, spare, 3)
        var texts = arguments.map { strdup($0) } + [nil]
        let settings = ["SWIFT_BACKTRACE=enable=no", "HDF5_USE_FILE_LOCKING=FALSE", "HDF5_PLUGIN_PATH=", "LC_ALL=C"]
        var environment = settings.map { strdup($0) } + [nil]
        defer { for text in texts + environment { free(text) } }
        var process = pid_t()
        let status = posix_spawn(&process, helper, &actions, nil, &texts, &environment)
        close(ends[1])
        guard status == 0 else { throw CheckpointError.helperMissing(helper) }
        let (output, isComplete) = collect(ends[0])
        if !isComplete { kill(process, SIGKILL) }
        var ending: Int32 = 0
        while waitpid(process, &ending, 0) < 0, errno == EINTR {}
        // The helper's own limit is of processor time.
        if !isComplete || ending & 0x7F == SIGXCPU { return (output, .tooSlow) }
        if ending & 0x7F != 0 { return (output, .killed(ending & 0x7F)) }
        let code = (ending >> 8) & 0xFF
        return (output, code == 0 ? .done : .failed(code))
    }

    /// Everything that comes out of a pipe, and whether its end was reached in time.
    private static func collect(_ descriptor: Int32) -> ([UInt8], Bool) {
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let deadline = time(nil) + timeLimit
        while true {
            let left = deadline - time(nil)
            guard left > 0, output.count < 256 << 20 else { return (output, false) }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Int32(left) * 1000) > 0 else { continue }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return (output, true) }
            if count > 0 { output.append(contentsOf: chunk[..<count]) }
        }
    }
}

/// Memory that the helper filled; it stays mapped as long as a tensor shows it.
final class SharedMemory: @unchecked Sendable {
    // Unchecked: nothing writes it any more; the helper has ended.
    private let address: UnsafeMutableRawPointer
    private let byteCount: Int

    init(_ descriptor: Int32) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0,
            let address = mmap(nil, Int(status.st_size), PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0),
            address != MAP_FAILED
        else { throw NamedArrays.Malformed() }
        self.address = address
        byteCount = Int(status.st_size)
    }

    deinit { munmap(address, byteCount) }

    func floats(at offset: Int, count: Int) throws -> TensorStorage {
        guard offset >= 0, offset % 64 == 0, offset <= byteCount, count <= (byteCount - offset) / 4 else {
            throw NamedArrays.Malformed()
        }
        let start = (address + offset).assumingMemoryBound(to: Float.self)
        return TensorStorage(sharing: UnsafeBufferPointer(start: start, count: count), owner: self)
    }
}
