// JPEG (ITU-T T.81) through libjpeg-turbo's TurboJPEG, with the settings that Pillow uses: accurate integer DCT,
// smooth upsampling of color.

import CFinetuneJPEG

/// A TurboJPEG decompressor.
struct JPEGDecoder: ~Copyable {
    private let handle: tjhandle

    private init() throws {
        guard let handle = tjInitDecompress() else { throw PictureError.noMemory("JPEG") }
        self.handle = handle
    }

    deinit { tjDestroy(handle) }

    /// - Parameters:
    ///   - isTurned: Whether the picture will be turned upright.
    ///   - reduction: Is given the size of the picture as it will be and says by what it may be divided: 1, 2, 4 or 8.
    ///     The inverse cosine transform then makes fewer pixels, of lower frequencies alone.
    static func decode(
        _ bytes: PictureBytes, pixelLimit: Int, isTurned: Bool, reduction: (_ width: Int, _ height: Int) -> Int
    ) throws -> DecodedPicture {
        let decoder = try JPEGDecoder()
        let orientation = JPEGMarkers.orientation(in: bytes)
        let (picture, size) = try decoder.pixels(of: bytes, pixelLimit: pixelLimit) { width, height in
            isTurned && orientation.isTransposed ? reduction(height, width) : reduction(width, height)
        }
        return DecodedPicture(picture: picture, orientation: orientation, size: size)
    }

    private func pixels(
        of bytes: PictureBytes, pixelLimit: Int, _ reduction: (_ width: Int, _ height: Int) -> Int
    ) throws -> (Picture, size: (width: Int, height: Int)) {
        var (width, height, subsampling, colors): (Int32, Int32, Int32, Int32) = (0, 0, -1, -1)
        // The status says nothing here: rare ratios of subsampling, which TurboJPEG decodes, are an error to it, and
        // tables without a picture are none. What counts is a size and colors.
        _ = tjDecompressHeader3(handle, bytes.address, UInt(bytes.count), &width, &height, &subsampling, &colors)
        guard width > 0, height > 0, colors >= 0 else { throw failure(bytes) }
        _ = try Picture.byteCount(width: Int(width), height: Int(height), pixelLimit: pixelLimit)
        try Self.checkScans(JPEGMarkers.scanCount(in: bytes), pixels: Int(width) * Int(height))
        let size = (width: Int(width), height: Int(height))
        let divisor = Int32(reduction(size.width, size.height))
        (width, height) = ((width + divisor - 1) / divisor, (height + divisor - 1) / divisor)
        let pixelCount = Int(width) * Int(height)
        guard colors == TJCS_CMYK.rawValue || colors == TJCS_YCCK.rawValue else {
            let rgb = try decompress(bytes, width: width, height: height, TJPF_RGB, byteCount: pixelCount * 3)
            return (Picture(width: Int(width), height: Int(height), channels: 3, bytes: rgb), size)
        }
        // Adobe stores the inks of a JPEG inverted, and nobody else writes such files.
        let inks = try decompress(bytes, width: width, height: height, TJPF_CMYK, byteCount: pixelCount * 4)
        return (Picture(width: Int(width), height: Int(height), inks: inks, areInverted: true), size)
    }

    /// Refuses a small file that takes minutes: every scan goes over all pixels, and may hold next to nothing.
    ///
    /// - Parameter scans: Of the whole picture, or of each of its pieces.
    static func checkScans(_ scans: Int, pixels: Int) throws {
        guard scans > fewScans, scans * pixels > mostScannedPixels else { return }
        throw PictureError.tooManyScans(scans, pixels: pixels)
    }

    /// Cameras and programs write 1 to 14.
    private static let fewScans = 16
    /// Pixels of all scans together, which are decoded in about a second.
    private static let mostScannedPixels = 1 << 30

    private func decompress(
        _ bytes: PictureBytes, width: Int32, height: Int32, _ format: TJPF, byteCount: Int
    ) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: byteCount) { out, written in
            let status = tjDecompress2(
                handle, bytes.address, UInt(bytes.count), out.baseAddress, width, 0, height, format.rawValue,
                TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
            // A warning leaves a whole picture behind: stray bytes between markers, or a damaged spot, which Pillow
            // accepts without a word. Only a file that ends too early is no picture.
            guard status == 0 || (isWarning && JPEGMarkers.isComplete(bytes)) else { throw failure(bytes) }
            written = byteCount
        }
    }

    private var isWarning: Bool { tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue) }

    private func failure(_ bytes: PictureBytes) -> PictureError {
        guard JPEGMarkers.isComplete(bytes) else { return .truncated("JPEG") }
        return .damaged("JPEG", tjGetErrorStr2(handle).map { String(cString: $0) } ?? "no reason given")
    }
}

/// The markers of a JPEG, walked without decoding.
enum JPEGMarkers {
    private static let startOfScan: UInt8 = 0xDA
    private static let endOfImage: UInt8 = 0xD9

    /// What the first APP1 segments say that hold EXIF data and XMP.
    static func orientation(in bytes: PictureBytes) -> Orientation {
        let mark: StaticString = "http://ns.adobe.com/xap/1.0/\0"
        var (exif, xmp): (PictureBytes?, PictureBytes?)
        walk(bytes) { marker, payload in
            guard marker == 0xE1 else { return marker != startOfScan }
            if exif == nil, payload.starts(with: "Exif\0\0") { exif = payload }
            if payload.starts(with: mark) { xmp = payload.suffix(from: mark.utf8CodeUnitCount) }
            return true
        }
        return Orientation(exif: exif, xmp: xmp)
    }

    /// Whether the end-of-image marker is there.
    static func isComplete(_ bytes: PictureBytes) -> Bool {
        var isComplete = false
        walk(bytes) { marker, _ in
            isComplete = marker == endOfImage
            return !isComplete
        }
        return isComplete
    }

    /// How many scans there are.
    static func scanCount(in bytes: PictureBytes) -> Int {
        var count = 0
        walk(bytes) { marker, _ in
            if marker == startOfScan { count += 1 }
            return true
        }
        return count
    }

    /// How often a scan may begin in bytes that hold JPEGs among other things.
    static func mostScans(in bytes: PictureBytes) -> Int {
        var (count, position) = (0, 0)
        while let place = bytes.firstIndex(of: 0xFF, from: position) {
            if bytes[place + 1] == startOfScan { count += 1 }
            position = place + 1
        }
        return count
    }

    /// Visits markers in order with what their segments hold, until `visit` answers false or the bytes end.
    ///
    /// Compressed data lies between segments; in it, 0xFF is followed by 0 or by a restart marker.
    private static func walk(_ bytes: PictureBytes, _ visit: (_ marker: UInt8, _ payload: PictureBytes) -> Bool) {
        let nothing = bytes.suffix(from: bytes.count)
        var position = 2
        while let place = bytes.firstIndex(of: 0xFF, from: position), let marker = bytes[place + 1] {
            guard marker != 0xFF else {
                position = place + 1
                continue
            }
            position = place + 2
            switch marker {
            case 0, 0x01, 0xD0...0xD8: continue
            case endOfImage: guard visit(marker, nothing) else { return }
            default:
                guard let length = bytes.short(position, bigEndian: true), length >= 2 else { return }
                guard let payload = bytes.slice(position + 2, count: length - 2), visit(marker, payload) else { return }
                position += length
            }
        }
    }
}
