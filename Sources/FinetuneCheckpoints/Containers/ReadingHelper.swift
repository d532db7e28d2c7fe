// Runs finetune-read-weights on a file and takes over what it read, without a copy.

internal import CFinetuneHDF5
internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// The program that reads HDF5 for us, because the library may crash or hang on a hostile file.
enum ReadingHelper {
    /// Seconds after which a file is given up: a slow disk may take them, the processor's time is limited far below.
    private static let timeLimit = 120

    /// - Parameters:
    ///   - file: The open file.
    ///   - path: Its name in messages.
    ///   - helper: The path of `finetune-read-weights`.
    static func read(_ file: OpenFile, shownAs path: String, helper: String) throws -> NamedArrays {
        try withExtendedLifetime(file) { try read(file.descriptor, shownAs: path, helper: helper) }
    }

    /// - Parameters:
    ///   - file: A descriptor, also of a file in memory.
    ///   - path: Its name in messages.
    ///   - helper: The path of `finetune-read-weights`.
    static func read(_ file: Int32, shownAs path: String, helper: String) throws -> NamedArrays {
        guard Path.withCString(helper, { access($0, X_OK) }) == 0 else { throw CheckpointError.helperMissing(helper) }
        let memory = memfd_create("finetune-weights", 0)
        guard memory >= 0 else { throw CheckpointError.system(path, "shared memory", errno) }
        defer { close(memory) }
        let (output, ending) = try run(helper, file, sharing: memory, path)
        let index = try? JSON(parsing: output)  // A helper that crashed leaves half an index; how it ended says why.
        if let failure = index?["failure"]?.stringValue {
            throw index?["system"]?.boolValue == true
                ? CheckpointError.system(path, "\(failure).") : CheckpointError.cannotLoad(path, "\(failure).")
        }
        if case .stopped = ending { throw CheckpointError.system(path, ending.words) }
        guard ending == .done, let index else { throw CheckpointError.cannotLoad(path, ending.words) }
        do {
            return try NamedArrays(index: index, memory: try SharedMemory(memory, path))
        } catch is NamedArrays.Malformed {
            throw CheckpointError.cannotLoad(path, "the reading helper failed without a message. Try: h5dump -H")
        }
    }

    private enum Ending: Equatable {
        case done
        case failed(Int32)
        /// By a signal that the library's own faults give.
        case crashed(Int32)
        /// By a signal that another process sent: nothing is known of the file.
        case stopped(Int32)
        case tooSlow

        init(status: Int32) {
            let signal = status & 0x7F
            let code = (status >> 8) & 0xFF
            switch signal {
            case 0: self = code == 0 ? .done : .failed(code)
            // The helper's own limit is of processor time.
            case SIGXCPU: self = .tooSlow
            case SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS: self = .crashed(signal)
            default: self = .stopped(signal)
            }
        }

        var words: String {
            switch self {
            case .done: "it was read, yet its index makes no sense."
            case .failed(let code): "the HDF5 library gave up on it (exit \(code)). It is damaged or hostile."
            case .crashed(let signal): "it made the HDF5 library crash (signal \(signal)). It is damaged or hostile."
            case .stopped(let signal):
                "the program that reads it was ended by signal \(signal) from outside. Try again."
            case .tooSlow: "reading it took more time than such a file needs. It is damaged or hostile."
            }
        }
    }

    /// Starts the helper with `memory` as its descriptor 3 and the file as 4, and collects its standard output. It stands
    /// outside the terminal's process group, so that a Ctrl-C is this program's alone to deal with.
    private static func run(_ helper: String, _ file: Int32, sharing memory: Int32, _ path: String) throws -> (
        [UInt8], Ending
    ) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CheckpointError.system(path, "pipe", errno) }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Out of the way of the numbers that the helper knows them by.
        let spares = [memory, file].map { fcntl($0, F_DUPFD_CLOEXEC, 10) }
        defer { for spare in spares where spare >= 0 { close(spare) } }
        guard spares.allSatisfy({ $0 >= 0 }) else {
            let reason = errno
            close(ends[1])
            throw CheckpointError.system(path, "further open file", reason)
        }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, spares[0], 3)
        posix_spawn_file_actions_adddup2(&actions, spares[1], 4)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        var texts = [Path.withCString(helper) { strdup($0) }, strdup("/proc/self/fd/4"), nil]
        let settings = ["SWIFT_BACKTRACE=enable=no", "HDF5_USE_FILE_LOCKING=FALSE", "HDF5_PLUGIN_PATH=", "LC_ALL=C"]
        var environment = settings.map { strdup($0) } + [nil]
        defer { for text in texts + environment { free(text) } }
        var process = pid_t()
        let status = Path.withCString(helper) {
            posix_spawn(&process, $0, &actions, &attributes, &texts, &environment)
        }
        close(ends[1])
        guard status == 0 else { throw CheckpointError.system(path, "process for '\(helper)'", status) }
        let (output, isComplete) = collect(ends[0])
        if !isComplete { kill(process, SIGKILL) }
        var ending: Int32 = 0
        while waitpid(process, &ending, 0) < 0, errno == EINTR {}
        return (output, isComplete ? Ending(status: ending) : .tooSlow)
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

    /// - Parameter path: The file that was read, for messages.
    init(_ descriptor: Int32, _ path: String) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 else { throw NamedArrays.Malformed() }
        let address = mmap(nil, Int(status.st_size), PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw CheckpointError.system(path, "memory for \(Int(status.st_size).bytesText)", errno)
        }
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
