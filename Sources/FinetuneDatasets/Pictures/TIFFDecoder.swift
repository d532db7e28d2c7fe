// TIFF 6.0 through libtiff: the first page, from strips or tiles.

import CFinetuneTIFF

/// An open TIFF in memory.
struct TIFFDecoder: ~Copyable {
    private let tiff: OpaquePointer
    private let memory: UnsafeMutablePointer<finetune_tiff_memory>

    /// What one block may take beyond the size of the whole picture: a tile is often larger than a small picture.
    private static let blockAllowance = 64 << 20

    private init(_ bytes: PictureBytes) throws {
        let memory = UnsafeMutablePointer<finetune_tiff_memory>.allocate(capacity: 1)
        memory.initialize(to: finetune_tiff_memory())
        memory.pointee.bytes = bytes.address
        memory.pointee.size = UInt64(bytes.count)
        guard let tiff = finetune_tiff_open(memory, tmsize_t(Picture.pixelLimit * 8)) else {
            defer { memory.deallocate() }
            throw Self.failure(memory)
        }
        self.tiff = tiff
        self.memory = memory
    }

    deinit {
        TIFFClose(tiff)
        memory.deallocate()
    }

    static func decode(_ bytes: PictureBytes, pixelLimit: Int, _ depth: PictureDepth) throws -> DecodedPicture {
        let decoder = try TIFFDecoder(bytes)
        let layout = try decoder.layout(pixelLimit: pixelLimit)
        if [COMPRESSION_JPEG, COMPRESSION_OJPEG].contains(
            Int32(finetune_tiff_short(decoder.tiff, UInt32(TIFFTAG_COMPRESSION), 1)))
        {
            let pieces = max(
                1,
                Int(TIFFIsTiled(decoder.tiff) != 0 ? TIFFNumberOfTiles(decoder.tiff) : TIFFNumberOfStrips(decoder.tiff))
            )
            try JPEGDecoder.checkScans(JPEGMarkers.mostScans(in: bytes) / pieces, pixels: layout.width * layout.height)
        }
        var highest: UInt16?
        let picture =
            layout.isPlain
            ? try decoder.plainPicture(layout, depth, &highest) : try decoder.convertedPicture(layout)
        return DecodedPicture(picture: picture, orientation: decoder.orientation, highest: highest.map { Int($0) })
    }

    /// What the file's own tag says, or else its XMP packet.
    private var orientation: Orientation {
        // 0 is no orientation, so it tells that the tag is missing.
        var noted: UInt16 = 0
        if finetune_tiff_own_short(tiff, UInt32(TIFFTAG_ORIENTATION), &noted) != 0 {
            return Orientation(rawValue: Int(noted)) ?? .upright
        }
        var count: UInt32 = 0
        guard let packet = finetune_tiff_xmp(tiff, &count) else { return .upright }
        return Orientation(
            exif: nil, xmp: PictureBytes(UnsafeRawBufferPointer(start: packet, count: Int(count))))
    }

    private static func failure(_ memory: UnsafePointer<finetune_tiff_memory>) -> PictureError {
        let complaint = String(cString: finetune_tiff_message(memory))
        return .damaged("TIFF", complaint.isEmpty ? "no reason given" : complaint)
    }

    // MARK: - What the file says about itself

    /// How a page's samples are stored.
    private struct Layout {
        var width: Int
        var height: Int
        var samples: Int
        var bits: Int
        var photometric: Int32
        var isPlanar: Bool
        /// Whether this decoder reads the samples itself; libtiff's own conversion to RGB does the rest.
        var isPlain: Bool
    }

    private func layout(pixelLimit: Int) throws -> Layout {
        func short(_ tag: Int32, _ otherwise: UInt16) -> Int { Int(finetune_tiff_short(tiff, UInt32(tag), otherwise)) }
        var layout = Layout(
            width: Int(finetune_tiff_long(tiff, UInt32(TIFFTAG_IMAGEWIDTH), 0)),
            height: Int(finetune_tiff_long(tiff, UInt32(TIFFTAG_IMAGELENGTH), 0)),
            samples: short(TIFFTAG_SAMPLESPERPIXEL, 1), bits: short(TIFFTAG_BITSPERSAMPLE, 1),
            photometric: Int32(short(TIFFTAG_PHOTOMETRIC, UInt16(PHOTOMETRIC_MINISBLACK))),
            isPlanar: short(TIFFTAG_PLANARCONFIG, 1) == Int(PLANARCONFIG_SEPARATE), isPlain: false)
        _ = try Picture.byteCount(width: layout.width, height: layout.height, pixelLimit: pixelLimit)
        let format = Int32(short(TIFFTAG_SAMPLEFORMAT, UInt16(SAMPLEFORMAT_UINT)))
        guard [1, 2, 4, 8, 16].contains(layout.bits), format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID else {
            let kind =
                switch format {
                case SAMPLEFORMAT_IEEEFP: "floating-point"
                case SAMPLEFORMAT_INT: "signed"
                default: "unsigned or complex"
                }
            throw PictureError.unsupported("TIFF", "\(kind) samples of \(layout.bits) bits")
        }
        guard (1...8).contains(layout.samples) else {
            throw PictureError.unsupported("TIFF", "\(layout.samples) samples a pixel")
        }
        if layout.photometric == PHOTOMETRIC_YCBCR, short(TIFFTAG_COMPRESSION, 1) == Int(COMPRESSION_JPEG),
            !layout.isPlanar, finetune_tiff_expect_rgb_from_jpeg(tiff) != 0
        {
            layout.photometric = PHOTOMETRIC_RGB
        }
        layout.isPlain =
            switch layout.photometric {
            case PHOTOMETRIC_MINISWHITE, PHOTOMETRIC_MINISBLACK: true
            case PHOTOMETRIC_PALETTE: layout.bits <= 8
            case PHOTOMETRIC_RGB: layout.samples >= 3 && layout.bits >= 8
            case PHOTOMETRIC_SEPARATED: layout.samples == 4 && layout.bits >= 8
            default: false
            }
        return layout
    }

    // MARK: - Samples that mean what they say

    /// - Parameter highest: Becomes the highest number of a file of 16 bits.
    private func plainPicture(_ layout: Layout, _ depth: PictureDepth, _ highest: inout UInt16?) throws -> Picture {
        let samples = try self.samples(layout, depth, &highest)
        let (width, height, step) = (layout.width, layout.height, layout.samples)
        switch layout.photometric {
        case PHOTOMETRIC_SEPARATED:
            return Picture(width: width, height: height, inks: samples, areInverted: false)
        case PHOTOMETRIC_RGB where step == 3:
            return Picture(width: width, height: height, channels: 3, bytes: samples)
        case PHOTOMETRIC_RGB:
            // Colors that were multiplied by their alpha are divided by it, as Pillow does; other alpha is dropped.
            let isAssociated = finetune_tiff_first_extra_sample(tiff) == Int32(EXTRASAMPLE_ASSOCALPHA)
            return picture(layout) { index, channel in
                let level = samples[index * step + channel]
                let alpha = samples[index * step + 3]
                guard isAssociated, alpha != 255 else { return level }
                return alpha == 0 ? 0 : UInt8(min(255, Int(level) * 255 / Int(alpha)))
            }
        case PHOTOMETRIC_PALETTE:
            let columns = try palette()
            return picture(layout) { index, channel in UInt8(columns[channel][Int(samples[index * step])] >> 8) }
        default:
            let flip: UInt8 = layout.photometric == PHOTOMETRIC_MINISWHITE ? 0xFF : 0
            return picture(layout) { index, _ in samples[index * step] ^ flip }
        }
    }

    /// The palette's three columns, each with 16 bits for every value that a sample can have.
    private func palette() throws -> [UnsafeMutablePointer<UInt16>] {
        var red: UnsafeMutablePointer<UInt16>?
        var green: UnsafeMutablePointer<UInt16>?
        var blue: UnsafeMutablePointer<UInt16>?
        guard finetune_tiff_palette(tiff, &red, &green, &blue) != 0, let red, let green, let blue else {
            throw PictureError.damaged("TIFF", "it has no palette")
        }
        return [red, green, blue]
    }

    private func picture(_ layout: Layout, level: (_ pixel: Int, _ channel: Int) -> UInt8) -> Picture {
        let count = layout.width * layout.height
        let bytes = [UInt8](unsafeUninitializedCapacity: count * 3) { out, written in
            for pixel in 0..<count {
                for channel in 0..<3 { out[3 * pixel + channel] = level(pixel, channel) }
            }
            written = count * 3
        }
        return Picture(width: layout.width, height: layout.height, channels: 3, bytes: bytes)
    }

    /// Every sample as 8 bits, shape `[height, width, samples]`: levels scaled to 0…255, palette indices as they are.
    private func samples(_ layout: Layout, _ depth: PictureDepth, _ highest: inout UInt16?) throws -> [UInt8] {
        let isTiled = TIFFIsTiled(tiff) != 0
        let blockWidth = isTiled ? Int(finetune_tiff_long(tiff, UInt32(TIFFTAG_TILEWIDTH), 0)) : layout.width
        let blockHeight = Int(
            finetune_tiff_long(tiff, UInt32(isTiled ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP), .max))
        let rowBytes = Int(clamping: isTiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff))
        let blockBytes = Int(clamping: isTiled ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff))
        let count = layout.width * layout.height * layout.samples
        let perBlock = layout.isPlanar ? 1 : layout.samples
        guard blockWidth > 0, blockHeight > 0, rowBytes >= (blockWidth * perBlock * layout.bits + 7) / 8,
            blockBytes >= rowBytes, blockBytes <= 2 * count + Self.blockAllowance
        else { throw PictureError.damaged("TIFF", "blocks of \(blockWidth) × \(blockHeight) pixels") }

        var samples = [UInt8](repeating: 0, count: count)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: blockBytes, alignment: 16)
        defer { block.deallocate() }
        // Damaged data may leave a part of a block unwritten: black, not what the memory held before.
        block.initializeMemory(as: UInt8.self, repeating: 0)
        // Of the samples of a pixel, those behind its colors are alpha.
        let colors = layout.photometric == PHOTOMETRIC_RGB ? 3 : layout.photometric == PHOTOMETRIC_SEPARATED ? 4 : 1
        if layout.bits == 16 { highest = 0 }
        for plane in 0..<(layout.isPlanar ? layout.samples : 1) {
            for top in stride(from: 0, to: layout.height, by: blockHeight) {
                for left in stride(from: 0, to: layout.width, by: blockWidth) {
                    let rows = min(blockHeight, layout.height - top)
                    try read(block, isTiled: isTiled, left: left, top: top, plane: plane, expecting: rows * rowBytes)
                    for y in 0..<rows {
                        let row = UnsafeRawBufferPointer(rebasing: block[y * rowBytes..<(y + 1) * rowBytes])
                        let columns = min(blockWidth, layout.width - left)
                        var target = ((top + y) * layout.width + left) * layout.samples + plane
                        for index in 0..<columns * perBlock {
                            if layout.bits == 16 {
                                let number = row.load(fromByteOffset: 2 * index, as: UInt16.self)
                                let channel = layout.isPlanar ? plane : index % layout.samples
                                if channel < colors { highest = max(highest ?? 0, number) }
                                samples[target] = depth.level(number)
                            } else {
                                samples[target] = sample(index, of: row, layout)
                            }
                            target += layout.isPlanar ? layout.samples : 1
                        }
                    }
                }
            }
        }
        return samples
    }

    private func read(
        _ block: UnsafeMutableRawBufferPointer, isTiled: Bool, left: Int, top: Int, plane: Int, expecting count: Int
    ) throws {
        let (x, y, plane) = (UInt32(left), UInt32(top), UInt16(plane))
        let read =
            isTiled
            ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, plane), block.baseAddress, tmsize_t(block.count))
            : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, plane), block.baseAddress, tmsize_t(block.count))
        guard read >= 0 else { throw Self.failure(memory) }
        guard read >= count, count <= block.count else { throw PictureError.truncated("TIFF") }
    }

    private func sample(_ index: Int, of row: UnsafeRawBufferPointer, _ layout: Layout) -> UInt8 {
        switch layout.bits {
        case 8: return row[index]
        default:
            let perByte = 8 / layout.bits
            let largest = UInt8(1 << layout.bits - 1)
            let value = row[index / perByte] >> UInt8(8 - layout.bits * (index % perByte + 1)) & largest
            return layout.photometric == PHOTOMETRIC_PALETTE ? value : value * (255 / largest)
        }
    }

    // MARK: - Everything else

    /// YCbCr, CIE L*a*b* and the like, through the conversion that libtiff brings.
    private func convertedPicture(_ layout: Layout) throws -> Picture {
        var complaint = [CChar](repeating: 0, count: 1024)
        guard TIFFRGBAImageOK(tiff, &complaint) != 0 else {
            let text = String(decoding: complaint.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw PictureError.unsupported("TIFF", "an unusual layout (\(text))")
        }
        // Asking for the orientation that the file has keeps the rows as they are stored.
        let orientation = Int32(finetune_tiff_short(tiff, UInt32(TIFFTAG_ORIENTATION), 1))
        let count = layout.width * layout.height
        let words = try [UInt32](unsafeUninitializedCapacity: count) { out, written in
            guard
                TIFFReadRGBAImageOriented(
                    tiff, UInt32(layout.width), UInt32(layout.height), out.baseAddress, orientation, 1) != 0
            else { throw Self.failure(memory) }
            written = count
        }
        return picture(layout) { pixel, channel in UInt8(truncatingIfNeeded: words[pixel] >> UInt32(8 * channel)) }
    }
}
