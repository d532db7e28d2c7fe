// The plain data of a checkpoint beside its tensors as JSON: epoch, architecture, options of the training script.

internal import FinetuneFiles

extension Pickle {
    /// The texts, numbers, booleans and nones of the root dictionary, and the dictionaries, namespaces and lists of
    /// these.
    ///
    /// Left out are tensors, other objects, and what is too large: texts of more than 4 KiB, lists of more than 200
    /// elements, what is nested deeper than 4, and members after the first 2,000. In a list, null takes the place of an
    /// element that is left out.
    ///
    /// - Returns: An object with at least one member; nil if there is no plain data.
    func document() -> JSON? {
        var writer = PickleDocumentWriter(pickle: self)
        guard let members = writer.members(of: root) else { return nil }
        return writer.object(of: members, depth: 1)
    }
}

private struct PickleDocumentWriter {
    private static let maximumDepth = 4
    private static let maximumList = 200
    private static let maximumText = 4096

    let pickle: Pickle
    /// The members and elements that may still be written.
    var left = 2000
    /// The values that may still be looked at: dictionaries may hold each other many times.
    var looks = 200_000

    /// The entries of a dictionary or namespace.
    func members(of value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
        if let dictionary = pickle.dictionaryIndex(of: value) { return pickle.dictionaries[dictionary] }
        guard case .object(let number) = value, PickleNames.namespaces.contains(pickle.objects[number].className)
        else { return nil }
        return pickle.attributesIndex(of: pickle.objects[number]).map { pickle.dictionaries[$0] }
    }

    /// - Returns: Nil if nothing of it is plain data.
    mutating func object(of members: [(key: PickleValue, value: PickleValue)], depth: Int) -> JSON? {
        var json: [JSON.Member] = []
        var indices: [String: Int] = [:]
        for member in members {
            guard left > 0, looks > 0 else { break }
            looks -= 1
            let key: String
            switch member.key {
            case .text(let text) where text.utf8.count <= Self.maximumText: key = text
            case .integer(let whole): key = String(whole)
            default: continue
            }
            guard let value = self.json(of: member.value, depth: depth) else { continue }
            // As in Python, the last value of a key counts; JSON has no numbers as keys, so 1 is the same key as "1".
            if let index = indices[key] {
                json[index].value = value
                continue
            }
            left -= 1
            indices[key] = json.count
            json.append(.init(key, value))
        }
        return json.isEmpty ? nil : .object(json)
    }

    private mutating func json(of value: PickleValue, depth: Int) -> JSON? {
        switch value {
        case .none: return .null
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .number(let value): return .number(value)
        case .text(let text): return text.utf8.count <= Self.maximumText ? .string(text) : nil
        default: break
        }
        guard depth < Self.maximumDepth else { return nil }
        if let members = members(of: value) { return object(of: members, depth: depth + 1) }
        guard let elements = pickle.elements(of: value), elements.count <= min(Self.maximumList, left, looks) else {
            return nil
        }
        (left, looks) = (left - elements.count, looks - elements.count)
        let values = elements.map { json(of: $0, depth: depth + 1) }
        return elements.isEmpty || values.contains { $0 != nil } ? .array(values.map { $0 ?? .null }) : nil
    }
}
