// What a file of weights holds, whatever the container: arrays by path, attributes, documents, and what was not read.

package import FinetuneEngine
package import FinetuneFiles

/// The tree of a file, flat: paths without a leading slash.
package struct NamedArrays: Sendable {
    package enum Container: String, Sendable {
        case hdf5 = "HDF5"
        case safetensors
        case torchArchive = "a zip archive"
        case torchLegacyFile = "a file of the format before PyTorch 1.6"
        case kerasArchive = "a Keras archive"
    }

    /// An array that was read.
    package struct Entry: Sendable {
        package let tensor: Tensor
        /// Its type in the file, such as `float32`.
        package let type: String
    }

    package enum Attribute: Sendable {
        case texts([String])
        case numbers([Double])
    }

    /// The document with the plain data of a PyTorch checkpoint beside its tensors, such as
    /// `{"epoch": 1, "arch": "resnet50", "args": {"lr": 0.1}}`.
    package static let checkpoint = "checkpoint"

    package var container = Container.hdf5
    /// What stands beside the arrays in words: metadata of the file, or a `config.json`, by name.
    package var documents: [String: JSON] = [:]
    package var groups: Set<String> = []
    package var arrays: [String: Entry] = [:]
    /// Why a path was not read, in words that follow its name.
    package var problems: [String: String] = [:]
    private var attributes: [String: [String: Attribute]] = [:]

    package init() {}

    package mutating func add(_ path: String, _ tensor: Tensor, type: String) {
        arrays[path] = Entry(tensor: tensor, type: type)
    }

    package mutating func set(_ name: String, of path: String, to value: Attribute) {
        attributes[path, default: [:]][name] = value
    }

    /// - Throws: `JSON.SyntaxError` or `Malformed` for an index that contradicts itself or the memory.
    init(index: JSON, memory: SharedMemory) throws {
        for group in try index["groups"].list() { groups.insert(try group.text()) }
        for dataset in try index["datasets"].list() {
            let path = try dataset["path"].text()
            let shape = try dataset["shape"].list().map { try $0.whole() }
            var count = 1
            for size in shape {
                let (product, overflow) = count.multipliedReportingOverflow(by: size)
                guard size > 0, !overflow else { throw Malformed() }
                count = product
            }
            let storage = try memory.floats(at: try dataset["offset"].whole(), count: count)
            arrays[path] = Entry(tensor: Tensor(shape: shape, storage: storage), type: try dataset["type"].text())
        }
        guard let members = index["problems"]?.members else { throw Malformed() }
        for member in members { problems[member.key] = try member.value.text() }
        for attribute in try index["attributes"].list() {
            let values = try attribute["value"].list()
            let texts = values.compactMap(\.stringValue)
            attributes[try attribute["path"].text(), default: [:]][try attribute["name"].text()] =
                texts.count == values.count && !values.isEmpty
                ? .texts(texts) : .numbers(values.compactMap(\.doubleValue))
        }
    }

    struct Malformed: Error {}

    package func attribute(_ name: String, of path: String) -> Attribute? { attributes[path]?[name] }

    /// A text attribute of one value.
    package func text(_ name: String, of path: String) -> String? {
        guard case .texts(let values) = attribute(name, of: path), values.count == 1 else { return nil }
        return values[0]
    }

    /// A list of names; Keras splits those over 64 KB into `name0`, `name1` ….
    ///
    /// - Returns: Nil where there is no such attribute, or where it does not hold text.
    package func texts(_ name: String, of path: String) -> [String]? {
        func values(_ attribute: Attribute) -> [String]? {
            switch attribute {
            case .texts(let values): values
            case .numbers(let values): values.isEmpty ? [] : nil  // h5py writes an empty list as numbers.
            }
        }
        if let attribute = attribute(name, of: path) { return values(attribute) }
        var all: [String] = []
        var index = 0
        while let attribute = attribute("\(name)\(index)", of: path) {
            guard let part = values(attribute) else { return nil }
            all += part
            index += 1
        }
        return index == 0 ? nil : all
    }
}

extension JSON? {
    fileprivate func list() throws -> [JSON] {
        guard let values = self?.arrayValue else { throw NamedArrays.Malformed() }
        return values
    }

    fileprivate func text() throws -> String {
        guard let text = self?.stringValue else { throw NamedArrays.Malformed() }
        return text
    }

    fileprivate func whole() throws -> Int {
        guard let value = self?.intValue, value >= 0 else { throw NamedArrays.Malformed() }
        return value
    }
}

extension JSON {
    fileprivate func text() throws -> String { try Optional(self).text() }
    fileprivate func whole() throws -> Int { try Optional(self).whole() }
}
