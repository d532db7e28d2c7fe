// NumPy's .npy files (NEP 1): one array, a header in Python's words and raw numbers.

/// An array as a .npy file holds it.
package struct NumpyArray: Sendable {
    /// What the elements are, whatever their byte order in the file was.
    package enum Element: String, Sendable {
        case bool = "b1"
        case uint8 = "u1"
        case uint16 = "u2"
        case uint32 = "u4"
        case uint64 = "u8"
        case int8 = "i1"
        case int16 = "i2"
        case int32 = "i4"
        case int64 = "i8"
        case float16 = "f2"
        case float32 = "f4"
        case float64 = "f8"

        package var byteCount: Int { Int(rawValue.suffix(1)) ?? 1 }
    }

    package let shape: [Int]
    package let element: Element
    /// The elements, row-major and little-endian.
    package let bytes: [UInt8]

    package var count: Int { shape.reduce(1, *) }

    /// - Throws: `FileError` of kind `malformed` for anything that is not an array of plain numbers.
    package init(parsing file: [UInt8], name: String) throws {
        func fail(_ reason: String) -> FileError { .malformed(name, "as a NumPy array, \(reason)") }
        var reader = ByteReader(file)
        guard reader.take(6)?.elementsEqual([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) == true,
            let version = reader.take(2)?.first, (1...3).contains(version)
        else { throw fail("it does not begin as one") }
        let count = version == 1 ? reader.number(UInt16.self).map(Int.init) : reader.number(UInt32.self).map(Int.init)
        guard let count, count < 65_536, let header = reader.take(count) else { throw fail("its header is cut short") }
        let fields = try Header(String(decoding: header, as: UTF8.self), fail)
        var total = 1
        for size in fields.shape {
            let (product, overflow) = total.multipliedReportingOverflow(by: size)
            guard !overflow else { throw fail("its shape \(fields.shape) is impossible") }
            total = product
        }
        let (size, overflow) = total.multipliedReportingOverflow(by: fields.element.byteCount)
        guard !overflow, file.count - reader.position >= size else {
            throw fail(
                "its shape \(fields.shape) needs more bytes than the \(file.count - reader.position) that follow")
        }
        var bytes = Array(file[reader.position..<reader.position + size])
        if fields.isBigEndian { Self.swap(&bytes, width: fields.element.byteCount) }
        if fields.isFortran, fields.shape.count > 1 {
            bytes = Self.rowMajor(bytes, fields.shape, width: fields.element.byteCount)
        }
        (shape, element, self.bytes) = (fields.shape, fields.element, bytes)
    }

    /// The elements as floats.
    package var floats: [Float] {
        switch element {
        case .float32: numbers(UInt32.self).map { Float(bitPattern: $0) }
        case .float64: numbers(UInt64.self).map { Float(Double(bitPattern: $0)) }
        case .float16: numbers(UInt16.self).map { Float(Float16(bitPattern: $0)) }
        default: integers.map { Float($0 ?? 0) }
        }
    }

    /// The elements as integers; nil for a fraction, and for what does not fit.
    package var integers: [Int?] {
        switch element {
        case .bool, .uint8: bytes.map { Int($0) }
        case .uint16: numbers(UInt16.self).map { Int($0) }
        case .uint32: numbers(UInt32.self).map { Int($0) }
        case .uint64: numbers(UInt64.self).map { Int(exactly: $0) }
        case .int8: bytes.map { Int(Int8(bitPattern: $0)) }
        case .int16: numbers(UInt16.self).map { Int(Int16(bitPattern: $0)) }
        case .int32: numbers(UInt32.self).map { Int(Int32(bitPattern: $0)) }
        case .int64: numbers(UInt64.self).map { Int(Int64(bitPattern: $0)) }
        case .float16, .float32: floats.map { Int(exactly: $0) }
        case .float64: numbers(UInt64.self).map { Int(exactly: Double(bitPattern: $0)) }
        }
    }

    private func numbers<Number: FixedWidthInteger>(_ type: Number.Type) -> [Number] {
        bytes.withUnsafeBytes { buffer in
            (0..<count).map {
                Number(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Number>.size, as: type))
            }
        }
    }

    private static func swap(_ bytes: inout [UInt8], width: Int) {
        guard width > 1 else { return }
        for start in stride(from: 0, to: bytes.count, by: width) {
            for offset in 0..<width / 2 { bytes.swapAt(start + offset, start + width - 1 - offset) }
        }
    }

    /// Elements in Fortran's order, the first index fastest, put into C's.
    private static func rowMajor(_ bytes: [UInt8], _ shape: [Int], width: Int) -> [UInt8] {
        var steps = [Int](repeating: 1, count: shape.count)
        for dimension in 1..<shape.count { steps[dimension] = steps[dimension - 1] * shape[dimension - 1] }
        var index = [Int](repeating: 0, count: shape.count)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for _ in 0..<bytes.count / width {
            let from = zip(index, steps).reduce(0) { $0 + $1.0 * $1.1 } * width
            result.append(contentsOf: bytes[from..<from + width])
            for dimension in shape.indices.reversed() {
                index[dimension] += 1
                if index[dimension] < shape[dimension] { break }
                index[dimension] = 0
            }
        }
        return result
    }

    /// The Python dictionary at the head of a file.
    private struct Header {
        var shape: [Int]
        var element: Element
        var isBigEndian: Bool
        var isFortran: Bool

        init(_ text: String, _ fail: (String) -> FileError) throws {
            func value(_ key: String) -> Substring? {
                guard let range = text.firstRange(of: "'\(key)'") else { return nil }
                return text[range.upperBound...].drop { $0 == ":" || $0 == " " }
            }
            guard let order = value("fortran_order"), order.hasPrefix("True") || order.hasPrefix("False"),
                let sizes = value("shape"), sizes.first == "(", let close = sizes.firstIndex(of: ")"),
                let type = value("descr")
            else { throw fail("its header lacks 'descr', 'fortran_order' or 'shape'") }
            isFortran = order.hasPrefix("True")
            guard type.first == "'", let end = type.dropFirst().firstIndex(of: "'") else {
                throw fail("it holds records, plain numbers were expected")
            }
            let description = type[type.index(after: type.startIndex)..<end]
            guard let first = description.first, "<>|=".contains(first),
                let element = Element(rawValue: String(description.dropFirst()))
            else { throw fail("its elements are '\(description)', numbers were expected") }
            self.element = element
            isBigEndian = first == ">"
            let parts = sizes[sizes.index(after: sizes.startIndex)..<close].split(separator: ",")
            shape = try parts.map { part in
                guard let size = Int(part.drop { $0 == " " }), size >= 0 else {
                    throw fail("its shape is no list of sizes")
                }
                return size
            }
            guard shape.count <= 8 else { throw fail("it has \(shape.count) dimensions, at most 8 are read") }
        }
    }

    /// The header of a file, padded so that the numbers after it are aligned to 64 bytes.
    ///
    /// - Parameters:
    ///   - type: NumPy's name, such as `<f4`, `<i8` or `<U12`.
    ///   - byteCount: The exact length wanted, for headers that are replaced once the shape is known.
    package static func header(_ type: String, shape: [Int], byteCount: Int? = nil) -> [UInt8] {
        let sizes = shape.map { String($0) }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
        let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }"
        let total = byteCount ?? (10 + text.utf8.count + 1 + 63) / 64 * 64
        let padding = String(repeating: " ", count: total - 10 - text.utf8.count - 1)
        return [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0] + UInt16(total - 10).littleEndianBytes
            + Array((text + padding + "\n").utf8)
    }

    /// Gives a whole file of texts in pieces, so that memory need not hold it: as wide as the longest, padded with zeros.
    ///
    /// - Parameter texts: Walked twice.
    package static func encode(
        _ texts: some Collection<String>, into write: ([UInt8]) throws -> Void
    ) rethrows {
        let width = max(1, texts.lazy.map(\.unicodeScalars.count).max() ?? 1)
        try write(header("<U\(width)", shape: [texts.count]))
        var piece: [UInt8] = []
        for text in texts {
            for scalar in text.unicodeScalars { piece += scalar.value.littleEndianBytes }
            piece += [UInt8](repeating: 0, count: 4 * (width - text.unicodeScalars.count))
            if piece.count >= 1 << 16 {
                try write(piece)
                piece.removeAll(keepingCapacity: true)
            }
        }
        try write(piece)
    }

    /// A whole file of 64-bit integers.
    package static func file(integers: [Int]) -> [UInt8] {
        header("<i8", shape: [integers.count]) + integers.flatMap { Int64($0).littleEndianBytes }
    }
}
