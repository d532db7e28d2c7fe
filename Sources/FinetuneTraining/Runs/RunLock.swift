// One run a folder: a lock that the system releases when the process ends, in whatever way.

internal import FinetuneFiles
internal import Glibc

/// The lock of a folder that one process writes to. The locked file names the process; it is removed with this object.
final class RunLock: Sendable {
    static let name = ".finetune.lock"

    private let file: UpdatableFile
    /// Whether a process that was killed left its lock in the folder.
    let wasThere: Bool
    /// Folders that were created for the run, the innermost last.
    private let made: [String]

    /// Locks a folder, and creates it if necessary.
    ///
    /// - Throws: `TrainingError` that names the process that holds the lock; `FileError`.
    init(_ folder: String) throws {
        made = try FileSystem.makeDirectory(folder)
        let path = Path.join(folder, Self.name)
        wasThere = FileSystem.kind(of: path) != nil
        while true {
            let file = try UpdatableFile(path, creating: true)
            guard try file.lock() else {
                let process = String(decoding: try FileSystem.head(of: path, count: 20), as: UTF8.self)
                throw TrainingError(
                    .cannotCreate,
                    "cannot write the run to '\(folder)': process \(process.isEmpty ? "(unknown)" : process) is writing there. Wait for it, or choose another --out."
                )
            }
            // The process that had it may have removed it since it was opened.
            guard file.isInPlace else { continue }
            try file.clear()
            let process = Array("\(getpid())".utf8)
            try file.write(process.span.bytes, at: 0)
            self.file = file
            return
        }
    }

    deinit {
        FileSystem.remove(file.path)
        // A run that never began leaves no folder behind.
        for folder in made.reversed() { FileSystem.removeEmptyDirectory(folder) }
    }

    /// Whether these files are those of a run that ended before it produced anything, or none.
    static func holdsNothing(_ files: [String]) -> Bool {
        files.allSatisfy { [name, RunFolder.recordName, RunFolder.eventsName].contains($0) }
    }

    /// Whether a new run may use a folder: it does not exist, or has no results and no lock.
    static func isFree(_ folder: String) -> Bool {
        guard let kind = FileSystem.kind(of: folder) else { return true }
        guard kind == .directory, let files = try? FileSystem.list(folder), holdsNothing(files) else { return false }
        guard !files.isEmpty else { return true }
        // A file that cannot be opened or locked is another's.
        return (try? UpdatableFile(Path.join(folder, name), creating: false).lock()) ?? false
    }
}
