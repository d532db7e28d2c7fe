// The number types of checkpoints and how each becomes 32-bit floats.

internal import FinetuneEngine

/// How a container stores numbers, little-endian.
enum ElementType: String {
    case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float16, bfloat16, float32, float64

    var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        }
    }

    /// Writes the numbers in `bytes` as floats; what a float cannot hold is rounded, or becomes infinite.
    ///
    /// - Precondition: `bytes` holds exactly as many numbers as `floats` has room for.
    func convert(_ bytes: UnsafeRawBufferPointer, into floats: UnsafeMutableBufferPointer<Float>) {
        precondition(bytes.count == floats.count * byteCount, "\(bytes.count) bytes are no \(floats.count) numbers")
        func each<Stored>(_ type: Stored.Type, _ value: (Stored) -> Float) where Stored: BitwiseCopyable {
            for index in floats.indices {
                floats[index] = value(bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Stored>.size, as: type))
            }
        }
        switch self {
        case .float32: UnsafeMutableRawBufferPointer(floats).copyMemory(from: bytes)
        case .float64: each(UInt64.self) { Float(Double(bitPattern: $0)) }
        case .float16: each(UInt16.self) { Float(Float16(bitPattern: $0)) }
        case .bfloat16: each(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .bool: each(UInt8.self) { $0 == 0 ? 0 : 1 }
        case .uint8: each(UInt8.self) { Float($0) }
        case .int8: each(Int8.self) { Float($0) }
        case .uint16: each(UInt16.self) { Float($0) }
        case .int16: each(Int16.self) { Float($0) }
        case .uint32: each(UInt32.self) { Float($0) }
        case .int32: each(Int32.self) { Float($0) }
        case .uint64: each(UInt64.self) { Float($0) }
        case .int64: each(Int64.self) { Float($0) }
        }
    }

    /// The bytes of a tensor of `shape`; nil where no memory holds them.
    func byteCount(of shape: [Int]) -> Int? {
        var count = byteCount
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }
}
