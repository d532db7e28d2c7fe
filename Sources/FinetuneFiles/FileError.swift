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

    /// The error of something at a path that is not a regular file.
    static func notRegular(_ action: String, _ path: String, isFolder: Bool) -> FileError {
        FileError(
            .malformed,
            "cannot \(action) '\(path)': it is \(isFolder ? "a folder" : "a pipe or a device"), a regular file was expected."
        )
    }

    /// The error of the system call that just failed.
    package static func system(_ kind: Kind, _ action: String, _ path: String, code: Int32 = errno) -> FileError {
        let isFull = [ENOSPC, EDQUOT, EFBIG].contains(code)
        var kind = kind
        if code == ENOENT, kind == .inputOutput { kind = .missing }
        if isFull, kind == .cannotCreate { kind = .inputOutput }
        let reason = kind == .missing ? "there is nothing at that path. Check the name." : reason(code)
        return FileError(kind, "cannot \(action) '\(path)': \(reason)", fullReason: isFull ? reason : nil)
    }

    /// The system's words for a number of `errno`, and which limit it is about.
    package static func reason(_ code: Int32) -> String {
        let text = String(cString: strerror(code))
        switch code {
        case EMFILE: return text + " (this process may open no more: ulimit -n)"
        case EFBIG: return text + " (files may not grow further: ulimit -f)"
        case EDQUOT: return text + " (your share of the disk is used up)"
        default: return text
        }
    }
}
