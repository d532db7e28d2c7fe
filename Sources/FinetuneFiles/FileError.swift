// The room's one error: what failed, on which file, and of what kind it is.

internal import Glibc

/// A file that cannot be read or written.
package struct FileError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// There is nothing at the path.
        case missing
        /// The content is not what it should be.
        case malformed
        /// A new file or folder cannot be made there.
        case cannotCreate
        /// Reading or writing failed on the way, such as on a full disk.
        case inputOutput
    }

    package let kind: Kind
    package let description: String
    /// What the system said where a disk, or the user's share of it, is full; nil where something else failed.
    package let fullReason: String?

    package init(_ kind: Kind, _ description: String, fullReason: String? = nil) {
        self.kind = kind
        self.description = description
        self.fullReason = fullReason
    }

    static func malformed(_ thing: String, _ reason: String) -> FileError {
        FileError(.malformed, "cannot read '\(thing)': \(reason)")
    }

    /// The error of the system call that just failed.
    static func system(_ kind: Kind, _ action: String, _ path: String, code: Int32 = errno) -> FileError {
        let kind = code == ENOENT && kind == .inputOutput ? .missing : kind
        let reason =
            kind == .missing ? "there is nothing at that path. Check the name." : String(cString: strerror(code))
        return FileError(
            kind, "cannot \(action) '\(path)': \(reason)",
            fullReason: code == ENOSPC || code == EDQUOT ? reason : nil)
    }
}
