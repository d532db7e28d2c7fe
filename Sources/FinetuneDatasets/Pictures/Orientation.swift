// How a camera was held: EXIF 2.32, tag 0x0112, or else tiff:Orientation in XMP, and the turn that puts its picture upright.

/// Where the first row and the first column of a stored picture are, in the words of the turn that undoes it.
enum Orientation: Int, CaseIterable {
    case upright = 1
    case mirrored, upsideDown, flipped, transposed, needsClockwiseTurn, transversed, needsCounterclockwiseTurn

    /// Whether rows become columns.
    var isTransposed: Bool { rawValue >= Orientation.transposed.rawValue }

    /// The orientation that a file's EXIF data says, or its XMP packet if those have no such tag; upright if neither does.
    /// Pillow's `ImageOps.exif_transpose` follows the same order.
    ///
    /// - Parameters:
    ///   - exif: The data from its byte-order mark on, or from the `Exif\0\0` before that.
    ///   - xmp: The packet, which is XML.
    init(exif: PictureBytes?, xmp: PictureBytes? = nil) {
        self = exif.flatMap(Self.noted) ?? xmp.flatMap(Self.read(xmp:)) ?? .upright
    }

    /// The orientation of a picture whose container asks for no turn. As in Pillow, the container overrules an EXIF tag,
    /// and XMP counts if there is no such tag.
    init(besideContainer exif: [UInt8], xmp: [UInt8]) {
        self = exif.withUnsafeBytes { exif in
            xmp.withUnsafeBytes { xmp in
                let tag = Self.noted(PictureBytes(exif))
                return tag == nil ? Self.read(xmp: PictureBytes(xmp)) ?? .upright : .upright
            }
        }
    }

    /// What an EXIF tag says; nil if there is none.
    private static func noted(_ exif: PictureBytes) -> Orientation? {
        read(exif.starts(with: "Exif\0\0") ? exif.suffix(from: 6) : exif)
    }

    /// What stands behind the first `tiff:Orientation`, as an attribute or as an element.
    private static func read(xmp: PictureBytes) -> Orientation? {
        let name: StaticString = "tiff:Orientation"
        var position = 0
        while let start = xmp.firstIndex(of: 0x74, from: position) {
            position = start + 1
            guard xmp.starts(with: name, at: start) else { continue }
            let end = start + name.utf8CodeUnitCount
            let value =
                xmp.starts(with: "=\"", at: end) ? end + 2 : xmp.starts(with: ">", at: end) ? end + 1 : xmp.count
            guard let digit = xmp[value], (0x30...0x39).contains(digit) else { continue }
            return Orientation(rawValue: Int(digit) - 0x30)
        }
        return nil
    }

    /// Nil if there is no such tag; a number that no orientation has counts as upright.
    private static func read(_ tiff: PictureBytes) -> Orientation? {
        let bigEndian = tiff.starts(with: "MM")
        guard bigEndian || tiff.starts(with: "II"), tiff.short(2, bigEndian: bigEndian) == 42,
            let directory = tiff.long(4, bigEndian: bigEndian),
            let count = tiff.short(directory, bigEndian: bigEndian)
        else { return nil }
        for index in 0..<count {
            let entry = directory + 2 + 12 * index
            guard let tag = tiff.short(entry, bigEndian: bigEndian) else { return nil }
            guard tag == 0x0112 else { continue }
            switch tiff.short(entry + 2, bigEndian: bigEndian) {
            case 3: return tiff.short(entry + 8, bigEndian: bigEndian).flatMap(Orientation.init(rawValue:)) ?? .upright
            case 4: return tiff.long(entry + 8, bigEndian: bigEndian).flatMap(Orientation.init(rawValue:)) ?? .upright
            default: return .upright
            }
        }
        return nil
    }
}

extension Picture {
    /// The picture upright, given how it is stored: Pillow's `ImageOps.exif_transpose`.
    func turned(from orientation: Orientation) -> Picture {
        // A pixel of the result at (x, y) is the stored one at `origin + x · across + y · down`, counted in pixels.
        let (origin, across, down): (Int, Int, Int) =
            switch orientation {
            case .upright: (0, 1, width)
            case .mirrored: (width - 1, -1, width)
            case .upsideDown: (width * height - 1, -1, -width)
            case .flipped: (width * (height - 1), 1, -width)
            case .transposed: (0, width, 1)
            case .needsClockwiseTurn: (width * (height - 1), -width, 1)
            case .transversed: (width * height - 1, -width, -1)
            case .needsCounterclockwiseTurn: (width - 1, width, -1)
            }
        if orientation == .upright { return self }
        let (newWidth, newHeight) = orientation.isTransposed ? (height, width) : (width, height)
        let turned = [UInt8](unsafeUninitializedCapacity: bytes.count) { out, written in
            bytes.withUnsafeBufferPointer { stored in
                var target = 0
                for y in 0..<newHeight {
                    var source = (origin + y * down) * channels
                    for _ in 0..<newWidth {
                        for channel in 0..<channels { out[target &+ channel] = stored[source &+ channel] }
                        target &+= channels
                        source &+= across &* channels
                    }
                }
            }
            written = bytes.count
        }
        return Picture(width: newWidth, height: newHeight, channels: channels, bytes: turned)
    }
}
