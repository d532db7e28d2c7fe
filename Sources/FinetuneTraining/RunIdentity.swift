// Everything that decides the result of a run, so that `--resume` continues no other run.

internal import FinetuneFiles

/// Settings, the hashes of the base and of the list of images, and the arithmetic of the program, by name.
package struct RunIdentity: Sendable {
    let json: JSON

    init(_ members: [JSON.Member]) { json = .object(members) }

    /// The hash that stands for it.
    var text: String { json.text }

    /// Compares the identity in a file with this one.
    ///
    /// - Parameters:
    ///   - found: The identity in the file; nil if it has none.
    ///   - path: The file.
    /// - Throws: `TrainingError` that names the first difference.
    func check(_ found: JSON?, in path: String) throws {
        guard let before = found?.members else {
            throw TrainingError(
                .contradiction,
                "cannot resume from '\(path)': it does not say what the run was made of. Start anew with --force.")
        }
        let names = (json.members ?? []).map(\.key) + before.map(\.key)
        for name in names where found?[name] != json[name] {
            func text(_ value: JSON?) -> String { value.map { $0.stringValue ?? $0.text } ?? "not there" }
            throw TrainingError(
                .contradiction,
                "cannot resume from '\(path)': \(name) was \(text(found?[name])), now it is \(text(json[name])). Give the same arguments and images, or start anew with --force."
            )
        }
    }
}
