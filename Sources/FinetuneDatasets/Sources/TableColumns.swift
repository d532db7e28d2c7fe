// What the columns of a table mean: the names that people and libraries give to paths, labels, splits and groups.

/// The roles of a table's columns, by their index.
struct TableColumns {
    var path: Int?
    var label: Int?
    var split: Int?
    /// Columns that say yes or no to one split, and what yes and no stand for.
    var flags: [(column: Int, yes: Split.Part, no: Split.Part?)] = []
    var group: Int?

    /// - Parameter names: As `key(of:)` writes them.
    init(_ names: [String]) {
        func first(_ known: [String]) -> Int? { known.lazy.compactMap { names.firstIndex(of: $0) }.first }
        path = first(Self.pathNames)
        label = first(Self.labelNames)
        group = first(Self.groupNames)
        split = first(Self.splitNames)
        for (name, yes, no) in Self.flagNames {
            if let column = names.firstIndex(of: name) { flags.append((column, yes, no)) }
        }
    }

    /// How many roles are taken.
    var count: Int { [path, label, split, group].compactMap(\.self).count + flags.count }

    /// The columns that have a role.
    var used: Set<Int> { Set([path, label, split, group].compactMap(\.self) + flags.map(\.column)) }

    /// A column's name without what differs from writer to writer: case, blanks, `file name` for `file_name`.
    static func key(of name: String) -> String {
        String(name.trimmed.lowercased().map { $0 == " " || $0 == "-" || $0 == "." ? "_" : $0 })
    }

    // The first that a table has counts.
    private static let pathNames = [
        "path", "paths", "filepath", "filepaths", "file_paths", "img_paths", "image_paths", "image_index", "file_path",
        "filename", "file_name", "filenames", "file_names", "file", "files",
        "fname", "image_path", "img_path", "imagepath", "image_file", "image_filename", "image_file_name", "image_name",
        "imagename", "img_name", "img_file", "image", "images", "img", "picture", "photo", "relative_path", "rel_path",
        "image_id", "imageid", "img_id", "id_code", "isic_id", "uuid", "id", "name", "image_url", "url",
    ]
    static let labelNames = [
        "label", "labels", "class", "classes", "category", "target", "class_name", "classname", "label_name",
        "labelname",
        "category_name", "category_id", "class_id", "class_label", "label_id", "image_label", "ground_truth", "gt", "y",
        "finding_labels", "species", "breed", "diagnosis", "dx", "emotion", "tag", "tags",
    ]
    private static let groupNames = ["group", "groups", "group_id"]
    private static let splitNames = [
        "split", "splits", "set", "subset", "partition", "fold_split", "data_split", "dataset_split", "data_set",
        "dataset",
        "usage", "phase", "mode", "stage",
    ]
    private static let flagNames: [(name: String, yes: Split.Part, no: Split.Part?)] = [
        ("is_valid", .validation, nil), ("is_val", .validation, nil), ("is_validation", .validation, nil),
        ("isvalid", .validation, nil), ("is_test", .test, nil), ("istest", .test, nil),
        ("is_train", .train, .validation), ("is_training", .train, .validation), ("istrain", .train, .validation),
    ]

    /// What a flag's value says; nil for a value that is neither yes nor no.
    static func flag(_ value: String) -> Bool? {
        switch value.lowercased() {
        // Spreadsheets translate TRUE and FALSE.
        case "true", "t", "yes", "y", "1", "1.0", "wahr", "vrai", "verdadero", "vero", "waar", "verdadeiro": true
        case "false", "f", "no", "n", "0", "0.0", "", "falsch", "faux", "falso", "onwaar": false
        default: nil
        }
    }

    /// Whether a label says that there is none, as pandas and R write it.
    static func isMissing(_ label: String) -> Bool {
        ["", "nan", "na", "n/a", "null", "<na>", "#n/a", "-nan"].contains(label.lowercased())
    }
}
