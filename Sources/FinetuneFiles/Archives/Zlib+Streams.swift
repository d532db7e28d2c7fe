// Compressed data of which only the start is wanted, or that are too large for memory.

internal import CFinetuneZlib
internal import Glibc

extension Zlib {
    /// The first bytes that data inflate to; fewer if the data end before or are damaged.
    static func start(of bytes: [UInt8], _ format: Format, count: Int) -> [UInt8] {
        var stream = z_stream()
        guard inflateInit2_(&stream, format.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return []
        }
        defer { inflateEnd(&stream) }
        return bytes.withUnsafeBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: count) { output, filled in
                stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                stream.avail_in = uInt(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = uInt(output.count)
                _ = inflate(&stream, Z_NO_FLUSH)
                filled = output.count - Int(stream.avail_out)
            }
        }
    }
}

extension Gzip {
    /// The first bytes of a gzip file's content; fewer if it is shorter or damaged.
    package static func head(of path: String, count: Int) throws -> [UInt8] {
        Zlib.start(of: try FileSystem.head(of: path, count: 2 * count + (1 << 16)), .gzip, count: count)
    }

    /// Inflates a gzip file into a temporary file that has no name any more, so that none is left behind.
    ///
    /// - Parameter limit: Is given the size of the file, and says how many bytes it may hold.
    /// - Throws: `FileError` also where the disk is full.
    package static func unpacked(_ path: String, limit: (Int) -> Int) throws -> ByteSource {
        let input = try ByteSource(file: path)
        let folder =
            FileSystem.variable("TMPDIR") ?? (FileSystem.kind(of: "/var/tmp") == .directory ? "/var/tmp" : "/tmp")
        let (temporary, descriptor) = try TemporaryFiles.make(in: folder, for: Path.join(folder, Path.name(of: path)))
        TemporaryFiles.remove(temporary)
        do {
            let count = try inflate(input, path, to: descriptor, in: folder, atMost: limit(input.count))
            return .file(OpenFile(descriptor: descriptor, count: count, path: path))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// - Returns: How many bytes were written.
    private static func inflate(
        _ input: ByteSource, _ path: String, to descriptor: Int32, in folder: String, atMost limit: Int
    ) throws -> Int {
        var stream = z_stream()
        guard
            inflateInit2_(&stream, Zlib.Format.gzip.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { throw FileError(.inputOutput, "cannot read '\(path)': zlib cannot be started.") }
        defer { inflateEnd(&stream) }
        let damaged = FileError.malformed(path, "its gzip data are damaged or cut short. Download it again.")
        var (position, written) = (0, 0)
        var output = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = min(1 << 18, input.count - position)
            guard count > 0, let chunk = try input.bytes(at: position, count: count) else { throw damaged }
            var used = 0
            while used < chunk.count {
                let (status, produced, rest) = chunk.withUnsafeBufferPointer { bytes in
                    output.withUnsafeMutableBufferPointer { buffer in
                        stream.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress?.advanced(by: used))
                        stream.avail_in = uInt(bytes.count - used)
                        stream.next_out = buffer.baseAddress
                        stream.avail_out = uInt(buffer.count)
                        let status = CFinetuneZlib.inflate(&stream, Z_NO_FLUSH)
                        return (status, buffer.count - Int(stream.avail_out), Int(stream.avail_in))
                    }
                }
                guard status == Z_OK || status == Z_STREAM_END else { throw damaged }
                written += produced
                guard written <= limit else {
                    throw FileError.malformed(
                        path, "it unpacks to more than \(limit.bytesText), which archives of images do not.")
                }
                try write(output[..<produced], to: descriptor, in: folder)
                let isStuck = produced == 0 && chunk.count - rest == used && status == Z_OK
                used = chunk.count - rest
                if status == Z_STREAM_END {
                    // Several may follow each other; what else stands after the last one is padding.
                    guard try input.bytes(at: position + used, count: 2) == [0x1F, 0x8B] else { return written }
                    inflateReset(&stream)
                } else if isStuck {
                    throw damaged
                }
            }
            position += chunk.count
        }
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, in folder: String) throws {
        try bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = Glibc.write(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw FileError.system(.inputOutput, "unpack into", folder) }
                done += count
            }
        }
    }
}
