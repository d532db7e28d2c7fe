// Which files a table means: by paths of Windows, by names without an ending, or in a folder beside the table.

internal import FinetuneFiles

/// Finds the files that a table names.
struct TableFiles {
    private let tree: any FileTree
    /// The table's folder in the tree.
    private let folder: String
    /// Files of folders that had to be listed, by their names and by their names without endings.
    private var listings: [String: [String: String?]] = [:]
    /// The folder beside the table in which the files lie, if they do not lie where the table says.
    private(set) var base: String?
    /// Folders beside the table that all have files of these names, so that none can be chosen.
    private(set) var candidates: [String] = []

    /// - Parameters:
    ///   - samples: Some of the names: they show in which folder files lie.
    init(_ tree: any FileTree, folder: String, samples: [String]) {
        (self.tree, self.folder) = (tree, folder)
        guard !samples.isEmpty, !samples.contains(where: { find($0, in: nil) != nil }) else { return }
        let entries = (try? tree.entries(of: folder, isFile: PictureName.isPicture)) ?? []
        let folders = entries.filter { $0.kind != .file && !$0.name.hasPrefix(".") }.map(\.name)
        let fitting = folders.prefix(Self.mostFolders).filter { name in samples.contains { find($0, in: name) != nil } }
        if fitting.count == 1 { base = fitting[0] } else { candidates = Array(fitting) }
    }

    /// The path of the file that a table means, from the table's folder on; nil if there is none.
    mutating func path(of value: String) -> String? { find(value, in: base) }

    /// A path as it is written here: with slashes, without `./`.
    static func portable(_ value: String) -> String {
        var path = value
        if path.utf8.contains(UInt8(ascii: "\\")) {
            path = String(String.UnicodeScalarView(path.unicodeScalars.map { $0 == "\\" ? "/" : $0 }))
        }
        while path.hasPrefix("./") { path.removeFirst(2) }
        return path
    }

    private mutating func find(_ value: String, in base: String?) -> String? {
        let path = Self.portable(value)
        var forms = value.utf8.contains(UInt8(ascii: "\\")) ? [value, path] : [path]
        // Tables of the Western code page may name files by its bytes.
        if value.utf8.contains(where: { $0 >= 0x80 }), let bytes = TextEncoding.windows1252(path) {
            forms.append(Path.text(of: bytes))
        }
        if let base { forms = forms.map { Path.join(base, $0) } }
        if let path = forms.first(where: exists) { return path }
        for form in forms { if let path = similar(to: form) { return path } }
        return nil
    }

    private func exists(_ path: String) -> Bool {
        !path.isEmpty && !path.utf8.contains(0) && tree.holdsFile(at: folder.isEmpty ? path : Path.join(folder, path))
    }

    /// The only file of the same folder whose name has an ending more, or is written in another Unicode form.
    private mutating func similar(to path: String) -> String? {
        guard !path.isEmpty, !PictureName.isPicture(path) || path.utf8.contains(where: { $0 >= 0x80 }) else {
            return nil
        }
        let parent = Path.isAbsolute(path) || Path.parts(of: path).count > 1 ? Path.parent(of: path) : ""
        guard let only = listing(parent)[Path.name(of: path)], let only else { return nil }
        return parent.isEmpty ? only : Path.join(parent, only)
    }

    private mutating func listing(_ parent: String) -> [String: String?] {
        if let known = listings[parent] { return known }
        var listing: [String: String?] = [:]
        let path = folder.isEmpty ? parent : parent.isEmpty ? folder : Path.join(folder, parent)
        for entry in (try? tree.entries(of: path, isFile: PictureName.isPicture)) ?? []
        where PictureName.isPicture(entry.name) {
            for key in [entry.name, Path.stem(of: entry.name)] {
                listing[key] = listing[key] == nil ? .some(entry.name) : .some(nil)
            }
        }
        listings[parent] = listing
        return listing
    }

    private static let mostFolders = 1000
}
