// Protocol buffers on the wire (protobuf.dev/programming-guides/encoding), for writing: what ONNX and
// TensorBoard's events are made of.

/// A message in the making: its fields in order. Large fields stay where they are until the message is written.
package struct Protobuf: Sendable {
    private enum Part: Sendable {
        case bytes([UInt8])
        case external(count: Int, read: @Sendable ((RawSpan) throws -> Void) throws -> Void)
    }

    private var parts: [Part] = []
    /// Bytes of the message.
    package private(set) var count = 0

    package init() {}

    private mutating func append(_ bytes: [UInt8]) {
        count += bytes.count
        if case .bytes(let last) = parts.last {
            parts[parts.count - 1] = .bytes(last + bytes)
        } else {
            parts.append(.bytes(bytes))
        }
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var (bytes, rest): ([UInt8], UInt64) = ([], value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private mutating func key(_ field: Int, wireType: Int) { append(Self.varint(UInt64(field << 3 | wireType))) }

    package mutating func set(_ field: Int, _ value: Int) {
        key(field, wireType: 0)
        append(Self.varint(UInt64(bitPattern: Int64(value))))
    }

    package mutating func set(_ field: Int, _ value: Float) {
        key(field, wireType: 5)
        append(value.bitPattern.littleEndianBytes)
    }

    package mutating func set(_ field: Int, _ value: Double) {
        key(field, wireType: 1)
        append(value.bitPattern.littleEndianBytes)
    }

    package mutating func set(_ field: Int, _ value: String) { set(field, Array(value.utf8)) }

    package mutating func set(_ field: Int, _ value: [UInt8]) {
        key(field, wireType: 2)
        append(Self.varint(UInt64(value.count)) + value)
    }

    package mutating func set(_ field: Int, _ message: Protobuf) {
        key(field, wireType: 2)
        append(Self.varint(UInt64(message.count)))
        count += message.count
        parts += message.parts
    }

    /// A field of `count` bytes that `read` shows when the message is written.
    package mutating func set(
        _ field: Int, count: Int, _ read: @escaping @Sendable ((RawSpan) throws -> Void) throws -> Void
    ) {
        key(field, wireType: 2)
        append(Self.varint(UInt64(count)))
        self.count += count
        parts.append(.external(count: count, read: read))
    }

    /// The message, of whose fields none stayed elsewhere.
    var bytes: [UInt8] {
        parts.flatMap { part in
            guard case .bytes(let bytes) = part else { preconditionFailure("a field that stayed elsewhere") }
            return bytes
        }
    }

    package func write(to file: inout AtomicFile) throws {
        for part in parts {
            switch part {
            case .bytes(let bytes): try file.write(bytes)
            case .external(let count, let read):
                let before = file.position
                try read { try file.write($0) }
                precondition(file.position - before == count, "a field of \(count) bytes got others")
            }
        }
    }
}
