// The one number of a photograph's EXIF data that changes its pixels' place: tag 0x0112 (EXIF 2.3, TIFF 6.0).

enum ExifOrientation {
    /// Reads the orientation from TIFF-structured EXIF data, with or without the leading `Exif\0\0`.
    ///
    /// - Returns: 1 to 8; 1 where the data say nothing or make no sense.
    static func read(_ data: [UInt8]) -> Int {
        let bytes = data.starts(with: Array("Exif\0\0".utf8)) ? Array(data.dropFirst(6)) : data
        let isLittle: Bool
        if bytes.starts(with: [0x49, 0x49, 42, 0]) {
            isLittle = true
        } else if bytes.starts(with: [0x4D, 0x4D, 0, 42]) {
            isLittle = false
        } else {
            return 1
        }
        func number(_ offset: Int, _ count: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - count else { return nil }
            return (0..<count).reduce(0) { $0 << 8 | Int(bytes[offset + (isLittle ? count - 1 - $1 : $1)]) }
        }
        guard let directory = number(4, 4), let entries = number(directory, 2) else { return 1 }
        for entry in 0..<entries {
            let offset = directory + 2 + 12 * entry
            guard let tag = number(offset, 2) else { return 1 }
            if tag == 0x0112, let value = number(offset + 8, 2) { return (1...8).contains(value) ? value : 1 }
        }
        return 1
    }
}

/// What the segments before a JPEG's pixels say about them.
struct JPEGSegments {
    private(set) var orientation = 1
    /// Whether an Adobe program wrote the file: it inverts CMYK.
    private(set) var isAdobe = false

    init(_ bytes: [UInt8]) {
        var position = 2
        while position + 4 <= bytes.count, bytes[position] == 0xFF {
            let marker = bytes[position + 1]
            if marker == 0xFF {  // A fill byte.
                position += 1
                continue
            }
            if marker == 0xDA { return }
            let size = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
            guard size >= 2, size <= bytes.count - position - 2 else { return }
            let content = bytes[position + 4..<position + 2 + size]
            if marker == 0xE1, content.starts(with: Array("Exif\0\0".utf8)) { orientation = ExifOrientation.read(Array(content)) }
            if marker == 0xEE, content.starts(with: Array("Adobe".utf8)) { isAdobe = true }
            position += 2 + size
        }
    }
}
