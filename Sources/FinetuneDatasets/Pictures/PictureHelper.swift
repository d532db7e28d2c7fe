// One running finetune-read-pictures: the process in which libheif, libavif and libjxl decode. It lives for many pictures;
// a picture that ends it costs that picture alone.

internal import CFinetuneProcess
internal import FinetuneFiles
internal import Glibc

/// A process that decodes one picture at a time.
final class PictureHelper {
    /// What the process answers.
    enum Answer {
        case pixels(PictureSamples, orientation: Orientation)
        case jpeg([UInt8])
        /// By the names of `CodecFailure.Kind`.
        case refusal(kind: String, detail: String)
    }

    /// How a process ended without an answer.
    enum Ending: Error, Equatable {
        /// By a signal that the libraries' own faults give.
        case crashed(Int32)
        /// By its limits of time, or by ours.
        case tooSlow
        /// By a signal that another process sent: nothing is known of the picture.
        case stopped(Int32)
        case failed(Int32)
    }

    /// The libraries that decode, with their versions.
    private(set) var libraries: [LibraryVersion] = []

    private var process = pid_t()
    /// Requests go out, and answers come in.
    private let socket: Int32
    private let memory: Int32
    /// Bytes that came behind the last answer.
    private var pending: [UInt8] = []
    private let timeLimit: Int

    /// Shared memory that a process keeps from picture to picture; what a larger one took is given back.
    private static let keptMemory: off_t = 16 << 20
    private static let longestAnswer = 1 << 16
    /// Seconds until a process that was just started says that it is ready.
    private static let startLimit = 60

    /// Starts the process.
    ///
    /// - Parameters:
    ///   - path: That of `finetune-read-pictures`.
    ///   - timeLimit: Seconds after which a picture is given up. The process gives up sooner, by the picture's size.
    /// - Throws: `PictureError` if it cannot be started, `Ending` if it ends at once.
    init(path: String, timeLimit: Int) throws {
        self.timeLimit = timeLimit
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw PictureError.noHelper(FileError.reason(errno))
        }
        let descriptors = try Self.all([ends[0], ends[1], finetune_memfd_create("finetune-picture", 0)])
        (socket, memory) = (descriptors[0], descriptors[2])
        defer { close(descriptors[1]) }
        do { process = try Self.start(path, descriptors[1], memory) } catch {
            for descriptor in [socket, memory] { close(descriptor) }
            throw error
        }
        let greeting = try answer(within: Self.startLimit)
        if let detail = greeting["detail"]?.stringValue { throw PictureError.noHelper(detail) }
        libraries = (greeting["libraries"]?.arrayValue ?? []).compactMap { entry in
            guard let name = entry["name"]?.stringValue, let version = entry["version"]?.stringValue else { return nil }
            return LibraryVersion(name, version)
        }
    }

    deinit {
        for descriptor in [socket, memory] { close(descriptor) }
        end()
    }

    /// Moves descriptors out of the way of the numbers that the process knows them by; all of them or none.
    private static func all(_ descriptors: [Int32]) throws -> [Int32] {
        let moved = descriptors.map { $0 < 0 ? -1 : fcntl($0, F_DUPFD_CLOEXEC, 10) }
        let reason = errno
        for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
        guard moved.contains(-1) else { return moved }
        for descriptor in moved where descriptor >= 0 { close(descriptor) }
        throw PictureError.noHelper(FileError.reason(reason))
    }

    /// Whether the process waits for a picture.
    var isAlive: Bool {
        var status: Int32 = 0
        guard process > 0, waitpid(process, &status, WNOHANG) != 0 else { return process > 0 }
        process = 0
        return false
    }

    /// Starts a process with a socket as its descriptors 0 and 1, and memory as 3. It stands outside the terminal's process group, so that a
    /// Ctrl-C is this program's alone to deal with.
    private static func start(_ path: String, _ socket: Int32, _ memory: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, number) in [(socket, Int32(0)), (socket, 1), (memory, 3)] {
            posix_spawn_file_actions_adddup2(&actions, descriptor, number)
        }
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        // Swift's threads block the signals by which limits of time speak.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        var texts = [Path.withCString(path) { strdup($0) }, nil]
        // The loader's variables reach it, so that it finds the same libraries.
        let loader = getenv("LD_LIBRARY_PATH").map { ["LD_LIBRARY_PATH=" + String(cString: $0)] } ?? []
        var environment = (["SWIFT_BACKTRACE=enable=no", "LC_ALL=C"] + loader).map { strdup($0) } + [nil]
        defer { for text in texts + environment { free(text) } }
        var process = pid_t()
        var status = ETXTBSY
        // A program that was installed a moment ago may still be open where it was written.
        for attempt in 0..<50 where status == ETXTBSY {
            if attempt > 0 { usleep(20_000) }
            status = Path.withCString(path) {
                posix_spawn(&process, $0, &actions, &attributes, &texts, &environment)
            }
        }
        guard status == 0 else { throw PictureError.noHelper("'\(path)': \(FileError.reason(status))") }
        return process
    }

    /// Decodes a file.
    ///
    /// - Parameter kind: The name of the codec: `heic`, `avif` or `jxl`.
    /// - Throws: `PictureError` where the system refuses memory; `Ending` where the process is lost.
    func decode(_ bytes: PictureBytes, kind: String, pixelLimit: Int) throws -> Answer {
        try store(bytes)
        let request = "\(kind) \(bytes.count) \(pixelLimit) \(Picture.sideLimit)\n"
        let sent = Array(request.utf8).withUnsafeBytes {
            Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == request.utf8.count else { throw end() }
        let reply = try answer(within: timeLimit)
        defer { shrink() }
        if let refusal = reply["failure"]?.stringValue {
            return .refusal(kind: refusal, detail: reply["detail"]?.stringValue ?? "")
        }
        let offset = reply["offset"]?.intValue ?? -1
        if let count = reply["jpeg"]?.intValue { return .jpeg(try take(count, at: offset)) }
        guard let width = reply["width"]?.intValue, let height = reply["height"]?.intValue,
            let channels = reply["channels"]?.intValue, let bits = reply["bits"]?.intValue,
            let turn = reply["orientation"]?.intValue.flatMap(Orientation.init(rawValue:)),
            let exifCount = reply["exif"]?.intValue, let xmpCount = reply["xmp"]?.intValue, [1, 3].contains(channels),
            [8, 16].contains(bits)
        else { throw Ending.failed(0) }
        let count = try Picture.byteCount(width: width, height: height, channels: channels, pixelLimit: pixelLimit)
        let samples = try take(count * bits / 8, at: offset)
        let exif = exifCount > 0 ? try take(exifCount, at: offset + samples.count) : []
        let xmp = xmpCount > 0 ? try take(xmpCount, at: offset + samples.count + exifCount) : []
        let orientation = turn == .upright ? Orientation(besideContainer: exif, xmp: xmp) : turn
        return .pixels(
            PictureSamples(width: width, height: height, channels: channels, bits: bits, bytes: samples),
            orientation: orientation)
    }

    // MARK: Shared memory

    private func store(_ bytes: PictureBytes) throws {
        var done = 0
        while done < bytes.count {
            let written = pwrite(memory, bytes.buffer.baseAddress.map { $0 + done }, bytes.count - done, off_t(done))
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw PictureError.noHelper("no shared memory: \(FileError.reason(errno))") }
            done += written
        }
    }

    private func take(_ count: Int, at offset: Int) throws -> [UInt8] {
        var status = stat()
        guard count > 0, offset >= 0, fstat(memory, &status) == 0, count <= Int(status.st_size) - offset else {
            throw Ending.failed(0)
        }
        return try [UInt8](unsafeUninitializedCapacity: count) { out, written in
            while written < count {
                let read = pread(memory, out.baseAddress.map { $0 + written }, count - written, off_t(offset + written))
                if read < 0, errno == EINTR { continue }
                guard read > 0 else { throw Ending.failed(0) }
                written += read
            }
        }
    }

    private func shrink() {
        var status = stat()
        if fstat(memory, &status) == 0, status.st_size > Self.keptMemory { ftruncate(memory, 0) }
    }

    // MARK: Answers

    private func answer(within seconds: Int) throws -> JSON {
        let deadline = time(nil) + seconds
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            if let line = pending.firstIndex(of: 0x0A) {
                let text = Array(pending[..<line])
                pending.removeSubrange(...line)
                guard let reply = try? JSON(parsing: text) else { throw end() }  // It speaks no JSON: what it says is of no use.
                return reply
            }
            let left = deadline - time(nil)
            guard left > 0, pending.count < Self.longestAnswer else {
                end()
                throw Ending.tooSlow
            }
            var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Int32(min(left, 1000)) * 1000) > 0 else { continue }
            let count = Glibc.read(socket, &chunk, chunk.count)
            if count > 0 { pending.append(contentsOf: chunk[..<count]) }
            if count == 0 || (count < 0 && errno != EINTR) { throw end(isEnding: true) }
        }
    }

    /// Ends the process, if it has not ended by itself, and says how it did.
    @discardableResult
    private func end(isEnding: Bool = false) -> Ending {
        guard process > 0 else { return .failed(0) }
        // A process that closed its output is about to end: its own reason is wanted.
        var status: Int32 = 0
        var result = isEnding ? waitpid(process, &status, 0) : waitpid(process, &status, WNOHANG)
        if result == 0 {
            kill(process, SIGKILL)
            result = waitpid(process, &status, 0)
        }
        while result < 0, errno == EINTR { result = waitpid(process, &status, 0) }
        process = 0
        let signal = status & 0x7F
        switch signal {
        case 0: return .failed((status >> 8) & 0xFF)
        case SIGXCPU, SIGALRM: return .tooSlow
        case SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS: return .crashed(signal)
        default: return .stopped(signal)
        }
    }
}
