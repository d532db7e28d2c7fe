// safetensors: a length, a header in JSON, and the tensors' bytes one after the other
// (github.com/huggingface/safetensors, README "Format" and safetensors/src/tensor.rs, whose checks these are).

internal import FinetuneEngine
package import FinetuneFiles

package enum Safetensors {
    /// The library's own limit for a header.
    private static let maximumHeader = 100_000_000
    static let metadata = "__metadata__"

    static let types: [(name: String, type: ElementType)] = [
        ("BOOL", .bool), ("U8", .uint8), ("I8", .int8), ("U16", .uint16), ("I16", .int16), ("U32", .uint32),
        ("I32", .int32), ("U64", .uint64), ("I64", .int64), ("F16", .float16), ("BF16", .bfloat16), ("F32", .float32),
        ("F64", .float64),
    ]

    /// Whether a file begins as a safetensors file does: eight bytes of length, then an object.
    static func matches(_ head: [UInt8]) -> Bool { head.count > 8 && head[8] == UInt8(ascii: "{") }

    private struct Entry {
        var name: String
        var type: ElementType
        var shape: [Int]
        var start: Int
        var end: Int
    }

    /// Reads every tensor as floats.
    ///
    /// - Throws: `CheckpointError` for a file that breaks one of the format's rules.
    package static func read(_ source: ByteSource, path: String) throws -> NamedArrays {
        func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, "as a safetensors file, \(reason).") }
        guard source.count > 8, let prefix = try source.bytes(at: 0, count: 8) else {
            throw fail("it is too short. Download it again")
        }
        let declared = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard declared <= UInt64(maximumHeader) else {
            throw fail("its header declares \(declared) bytes, at most \(maximumHeader) are allowed")
        }
        guard let header = try source.bytes(at: 8, count: Int(declared)) else {
            throw fail("its header of \(declared) bytes goes past the end of the file. Download it again")
        }
        guard header.first == UInt8(ascii: "{") else { throw fail("its header is no JSON object") }
        let json: JSON
        do {
            json = try JSON(parsing: header)
        } catch {
            throw fail("its header is \(error)")
        }
        var arrays = NamedArrays()
        arrays.container = .safetensors
        var entries: [Entry] = []
        for member in json.members ?? [] {
            if member.key == metadata {
                guard let texts = member.value.members, texts.allSatisfy({ $0.value.stringValue != nil }) else {
                    throw fail("its metadata hold something other than text")
                }
                for text in texts { arrays.documents[text.key] = text.value }
            } else {
                entries.append(try entry(member, fail))
            }
        }
        entries.sort { ($0.start, $0.end, $0.name) < ($1.start, $1.end, $1.name) }
        let base = 8 + header.count
        var end = 0
        for entry in entries {
            guard entry.start == end else {
                throw fail("the tensor '\(entry.name)' begins at byte \(entry.start), \(end) was expected")
            }
            end = entry.end
        }
        guard end == source.count - base else {
            throw fail("its tensors take \(end) bytes and \(source.count - base) are there. Download it again")
        }
        for entry in entries where !entry.shape.contains(0) {
            arrays.add(entry.name, try tensor(entry, source, base, fail), type: entry.type.rawValue)
        }
        for entry in entries where entry.shape.contains(0) { arrays.problems[entry.name] = "has a dimension of size 0" }
        return arrays
    }

    private static func entry(_ member: JSON.Member, _ fail: (String) -> CheckpointError) throws -> Entry {
        let name = member.key
        guard let code = member.value["dtype"]?.stringValue, let type = types.first(where: { $0.name == code })?.type
        else {
            throw fail("the tensor '\(name)' has the type \(member.value["dtype"]?.text ?? "none"), which is not read")
        }
        func wholes(_ key: String) throws -> [Int] {
            guard let values = member.value[key]?.arrayValue, values.allSatisfy({ ($0.intValue ?? -1) >= 0 }) else {
                throw fail("the tensor '\(name)' has no \(key) of whole numbers")
            }
            return values.compactMap(\.intValue)
        }
        let (shape, offsets) = (try wholes("shape"), try wholes("data_offsets"))
        guard shape.count <= 8, offsets.count == 2, offsets[0] <= offsets[1] else {
            throw fail("the tensor '\(name)' has an impossible place or shape")
        }
        guard let size = type.byteCount(of: shape), size == offsets[1] - offsets[0] else {
            throw fail("the tensor '\(name)' of shape \(shape) does not fit its \(offsets[1] - offsets[0]) bytes")
        }
        return Entry(name: name, type: type, shape: shape, start: offsets[0], end: offsets[1])
    }

    private static func tensor(
        _ entry: Entry, _ source: ByteSource, _ base: Int, _ fail: (String) -> CheckpointError
    ) throws -> Tensor {
        try Tensor.unsafelyFilled(shape: entry.shape) { floats in
            if entry.type == .float32 {
                guard try source.read(at: base + entry.start, into: UnsafeMutableRawBufferPointer(floats)) else {
                    throw fail("it became shorter while it was read")
                }
            } else {
                guard let bytes = try source.bytes(at: base + entry.start, count: entry.end - entry.start) else {
                    throw fail("it became shorter while it was read")
                }
                bytes.withUnsafeBytes { entry.type.convert($0, into: floats) }
            }
        }
    }
}

// MARK: - Writing

extension Safetensors {
    /// Writes tensors as the library orders them: one type, so by name; the data begin at a multiple of eight.
    static func write(_ tensors: [(name: String, tensor: Tensor)], metadata texts: [(String, String)], to path: String)
        throws
    {
        let sorted = tensors.sorted { $0.name < $1.name }
        var members = [JSON.Member(metadata, .object(texts.map { .init($0.0, .string($0.1)) }))]
        var offset = 0
        for (name, tensor) in sorted {
            let end = offset + tensor.count * 4
            members.append(
                .init(name, ["dtype": "F32", "shape": JSON(tensor.shape), "data_offsets": JSON([offset, end])]))
            offset = end
        }
        var header = Array(JSON.object(members).text.utf8)
        while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
        var file = try AtomicFile(path)
        try file.write(UInt64(header.count).littleEndianBytes + header)
        for (_, tensor) in sorted {
            try tensor.withSpan { try file.write($0.bytes) }
        }
        try file.commit()
    }
}
