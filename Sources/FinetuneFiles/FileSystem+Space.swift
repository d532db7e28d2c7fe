// How much space files take, and how much is left.

internal import Glibc

extension FileSystem {
    /// What a folder's housekeeping asks of a file.
    package struct Usage: Sendable {
        package let byteCount: Int
        /// When it was last changed, since 1970.
        package let changed: Duration
    }

    /// The size and time of a regular file, links not followed; nil for anything else.
    package static func usage(of path: String) -> Usage? {
        var status = stat()
        guard Path.withCString(path, { lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return Usage(
            byteCount: Int(status.st_size),
            changed: .seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec))
    }

    /// Bytes that this user may still write to the file system of a file or folder; nil where it does not say.
    package static func freeBytes(at path: String) -> Int? {
        var status = statvfs()
        guard Path.withCString(path, { statvfs($0, &status) }) == 0 else { return nil }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : Int(clamping: bytes)
    }
}
