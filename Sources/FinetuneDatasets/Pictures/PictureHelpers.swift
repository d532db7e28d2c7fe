// The processes that decode pictures for this one: as many as pictures are decoded at a time, each for many pictures.

internal import CFinetuneProcess
package import FinetuneFiles
internal import Glibc
internal import Synchronization

/// Hands pictures to processes and starts new ones for those that were lost.
package final class PictureHelpers: Sendable {
    /// Those of this program.
    package static let shared = PictureHelpers()

    /// Where `finetune-read-pictures` is.
    package let path: String
    private let timeLimit: Int
    private let idle = Mutex<Idle>(Idle())

    private struct Idle: ~Copyable, Sendable {
        // Each helper is used by the one caller that took it out.
        nonisolated(unsafe) var helpers: [PictureHelper] = []
    }

    /// - Parameters:
    ///   - path: That of `finetune-read-pictures`; it is expected beside the program, or beside the library that holds
    ///     this code.
    ///   - timeLimit: Seconds after which a picture is given up, whatever its process says.
    package init(path: String? = nil, timeLimit: Int = 600) {
        self.path = path ?? Self.found
        self.timeLimit = timeLimit
    }

    private static var found: String {
        let name = "finetune-read-pictures"
        let beside = Path.join(Path.parent(of: FileSystem.programPath), name)
        guard access(beside, X_OK) != 0, let own = finetune_own_file() else { return beside }
        let other = Path.join(Path.parent(of: String(cString: own)), name)
        return access(other, X_OK) == 0 ? other : beside
    }

    /// The libraries that decode in the processes.
    ///
    /// - Throws: `PictureError` if none can be started.
    package func libraries() throws -> [LibraryVersion] { try using("picture") { $0.libraries } }

    /// Decodes a file.
    ///
    /// - Parameter kind: A kind that is decoded in a process of its own.
    func decode(_ bytes: PictureBytes, _ kind: PictureFormat, pixelLimit: Int) throws -> PictureHelper.Answer {
        guard let codec = kind.codec else { throw PictureError.unsupported(kind.name, "no decoder") }
        return try using(kind.name) { try $0.decode(bytes, kind: codec, pixelLimit: pixelLimit) }
    }

    /// Gives a process to `body`; one that is lost on the way is not used again.
    private func using<Result>(_ kind: String, _ body: (PictureHelper) throws -> Result) throws -> Result {
        let waiting = idle.withLock { $0.helpers.popLast() }
        let taken = waiting.flatMap { $0.isAlive ? $0 : nil }
        do {
            guard Path.withCString(path, { access($0, X_OK) }) == 0 || taken != nil else {
                throw PictureError.helperMissing(path, kind)
            }
            let helper = try taken ?? PictureHelper(path: path, timeLimit: timeLimit)
            let result = try body(helper)
            idle.withLock { $0.helpers.append(helper) }
            return result
        } catch let ending as PictureHelper.Ending {
            throw PictureError.lost(kind, ending)
        }
    }
}
