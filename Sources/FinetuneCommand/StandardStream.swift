// Standard output and standard error, written whole and at once.

internal import FinetuneFiles
internal import Glibc

enum StandardStream: Int32 {
    case output = 1
    case error = 2

    /// Opens the three standard streams that were closed at the start: otherwise the next file takes such a number, and
    /// output for people would go into it.
    static func openClosed() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // For reading alone: a write to standard output stays an error.
            _ = open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// The names on standard input, as paths are kept; empty ones are left out.
    ///
    /// - Parameter endsWithZero: Whether each ends with a zero byte, as `find -print0` writes them, and not with its line.
    /// - Throws: `UsageError` if the names end with the other.
    static func inputNames(endsWithZero: Bool) throws -> [String] {
        let bytes = try inputBytes()
        if endsWithZero {
            guard bytes.isEmpty || bytes.contains(0) else {
                throw UsageError(
                    description:
                        "cannot read the names on standard input: with -0 each ends with a zero byte, and there is none. Leave -0 out for a name on each line."
                )
            }
            return bytes.split(separator: 0).map { Path.text(of: $0) }
        }
        guard !bytes.contains(0) else {
            throw UsageError(
                description:
                    "cannot read the names on standard input: they end with zero bytes, as find -print0 writes them, and lines were expected. Add -0."
            )
        }
        return bytes.split(separator: UInt8(ascii: "\n")).map { line in
            Path.text(of: line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
        }.filter { !$0.isEmpty }
    }

    private static func inputBytes() throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError.system(.inputOutput, "read", "-") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// Columns of the terminal that it is; nil where it is none, or one that does not say.
    var width: Int? {
        var size = winsize()
        guard ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Writes the text.
    ///
    /// - Returns: Why not all of it was written; nil if it was.
    @discardableResult
    func write(_ text: String) -> OutputError? {
        var text = text
        return text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(rawValue, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    var wait = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
                    poll(&wait, 1, -1)
                    continue
                }
                guard count > 0 else { return OutputError(code: errno) }
                done += count
            }
            return nil
        }
    }

    /// Calls `body` when the reader of a pipe or socket has gone away.
    func watchReader(_ body: @escaping @Sendable () -> Void) {
        var status = stat()
        guard fstat(rawValue, &status) == 0, [S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT) else { return }
        _ = BackgroundThread.start { [rawValue] in
            var wait = pollfd(fd: rawValue, events: 0, revents: 0)
            while true {
                let count = poll(&wait, 1, -1)
                if count > 0, wait.revents & Int16(POLLERR | POLLHUP) != 0 { return body() }
                if count >= 0 || errno != EINTR { return }
            }
        }
    }
}

/// Why the result could not be written to standard output.
struct OutputError: Error, CustomStringConvertible {
    /// That of `errno`.
    let code: Int32

    /// Whether the reader closed the pipe, as `head` does: no error message is needed.
    var isReaderGone: Bool { code == EPIPE }

    var description: String {
        code == EBADF ? "standard output is closed" : "cannot write to standard output: \(FileError.reason(code))"
    }
}
