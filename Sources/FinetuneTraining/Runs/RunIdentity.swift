// Everything that decides the result of a run, so that `--resume` continues no other run.

internal import FinetuneFiles

/// Settings, the hashes of the base and of the list of images, and the arithmetic of the program, by name.
package struct RunIdentity: Sendable {
    let json: JSON

    init(_ members: [JSON.Member]) { json = .object(members) }

    /// The first difference of two values, inside them if they have members.
    private static func difference(_ name: String, _ before: JSON?, _ now: JSON?) -> String {
        if let members = before?.members, let others = now?.members,
            let key = (members + others).map(\.key).first(where: { before?[$0] != now?[$0] })
        {
            return difference("\(name): \(key)", before?[key], now?[key])
        }
        func text(_ value: JSON?) -> String { value.map { $0.stringValue ?? $0.text } ?? "not given" }
        return "\(name) was \(text(before)), now it is \(text(now))"
    }

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
                "cannot resume from '\(path)': it does not say what the run was made of, such as files of an earlier version. Choose another --out, or replace that run by --force."
            )
        }
        let names = (json.members ?? []).map(\.key) + before.map(\.key)
        for name in names where found?[name] != json[name] {
            // Hashes say nothing to a reader.
            let difference =
                name.hasSuffix("data")
                ? "its images were others (another list of files, labels or splits)"
                : name.hasSuffix("base")
                    ? "its base had other weights" : Self.difference(name, found?[name], json[name])
            throw TrainingError(
                .contradiction,
                "cannot resume from '\(path)': \(difference). Give the same arguments and images, choose another --out, or replace that run by --force."
            )
        }
    }
}
