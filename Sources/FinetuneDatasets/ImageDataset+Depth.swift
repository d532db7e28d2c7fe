// The range that the 16-bit pictures of a data set use, for --depth auto.

internal import FinetuneModels

extension ImageDataset {
    /// The highest number in the 16-bit pictures that a training may see; nil if none of them has 16 bits.
    ///
    /// Pictures of the data set's own validation and test splits do not count, and what cannot be read does not either.
    ///
    /// - Parameter lanes: How many pictures are decoded at a time.
    package func highestNumber(lanes: Int) async -> Int? {
        let places = items.indices.filter { items[$0].part == nil || items[$0].part == .train }
        let lanes = max(1, min(lanes, places.count))
        return await withTaskGroup(of: Int?.self) { group in
            for lane in 0..<lanes {
                group.addTask {
                    var highest: Int?
                    for index in stride(from: lane, to: places.count, by: lanes) {
                        guard let found = self.highestNumber(of: places[index]) else { continue }
                        highest = max(highest ?? 0, found)
                    }
                    return highest
                }
            }
            var highest: Int?
            for await found in group { if let found { highest = max(highest ?? 0, found) } }
            return highest
        }
    }

    private func highestNumber(of index: Int) -> Int? {
        guard case .encoded(let bytes) = try? content(of: index) else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard (try? PictureFormat(recognising: PictureBytes(bytes)))?.mayBeDeep(PictureBytes(bytes)) == true else {
                return nil
            }
            return (try? Picture(decoding: bytes, exif: .ignore))?.highest
        }
    }
}

extension PictureFormat {
    /// Whether a file of this kind may have 16 bits; of a PNG its header says so.
    fileprivate func mayBeDeep(_ bytes: PictureBytes) -> Bool {
        switch self {
        case .png: bytes[24] == 16
        case .tiff, .jpegXL, .netpbm: true
        case .jpeg, .webP, .bmp, .heic, .avif, .gif: false
        }
    }
}
