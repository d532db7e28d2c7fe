// zlib, for what arrives compressed: members of archives and gzipped files. Sizes are bounded before they are believed.

internal import CFinetuneZlib

enum Zlib {
    /// The CRC-32 of `bytes`, continuing `previous`.
    static func checksum(_ bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { bytes in
            var checksum = uLong(previous)
            var position = 0
            while position < bytes.count {
                let count = min(bytes.count - position, 1 << 30)
                let start = bytes.baseAddress?.advanced(by: position).assumingMemoryBound(to: Bytef.self)
                checksum = crc32(checksum, start, uInt(count))
                position += count
            }
            return UInt32(truncatingIfNeeded: checksum)
        }
    }

    /// Bytes that may follow what a header promises.
    private static let slack = 1 << 20

    enum Format: Int32 {
        /// Without header: members of a zip archive.
        case raw = -15
        case gzip = 31
    }

    /// Inflates `bytes`; nil where they are damaged or give more than `limit` bytes.
    ///
    /// - Parameter limitAfter: Is given the first bytes and says how many there may be; nil for `limit`.
    static func inflated(
        _ bytes: ArraySlice<UInt8>, _ format: Format, limit: Int, expected: Int? = nil,
        limitAfter: (([UInt8]) -> Int)? = nil
    ) -> [UInt8]? {
        var limit = limit
        var stream = z_stream()
        guard inflateInit2_(&stream, format.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
        defer { inflateEnd(&stream) }
        var output: [UInt8] = []
        output.reserveCapacity(min(expected ?? bytes.count, limit))
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        return bytes.withUnsafeBufferPointer { input in
            var position = 0
            while true {
                if stream.avail_in == 0, position < input.count {
                    let count = min(input.count - position, 1 << 30)
                    stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.advanced(by: position))
                    stream.avail_in = uInt(count)
                    position += count
                }
                let (status, produced) = chunk.withUnsafeMutableBufferPointer { buffer in
                    stream.next_out = buffer.baseAddress
                    stream.avail_out = uInt(buffer.count)
                    let status = inflate(&stream, Z_NO_FLUSH)
                    return (status, buffer.count - Int(stream.avail_out))
                }
                if output.isEmpty, let limitAfter { limit = limitAfter(Array(chunk[..<produced])) + slack }
                guard status == Z_OK || status == Z_STREAM_END, output.count + produced <= limit else { return nil }
                output.append(contentsOf: chunk[..<produced])
                if status == Z_STREAM_END { return output }
                if produced == 0, stream.avail_in == 0, position == input.count { return nil }
            }
        }
    }
}

/// Files compressed with gzip, as MNIST's are.
package enum Gzip {
    /// - Parameter limit: Is given the first bytes of the content and says how many it has; a few more may follow.
    /// - Throws: `FileError` of kind `malformed`.
    package static func inflated(_ bytes: [UInt8], name: String, limit: @escaping ([UInt8]) -> Int) throws -> [UInt8] {
        guard let content = Zlib.inflated(bytes[...], .gzip, limit: .max, limitAfter: limit) else {
            throw FileError.malformed(name, "its gzip data are damaged, or more than its header says")
        }
        return content
    }
}

extension Zlib {
    /// The checksum of two pieces in a row from the checksums of each and the length of the second.
    static func combined(_ first: UInt32, _ second: UInt32, _ count: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: crc32_combine(uLong(first), uLong(second), count))
    }
}
