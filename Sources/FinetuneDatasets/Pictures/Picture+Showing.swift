// Pictures for people: small ones, as JPEG files, and with a map of heat on them.

internal import CFinetuneJPEG
internal import FinetuneModels

extension Picture {
    /// The whole picture as a baseline JPEG, by TurboJPEG.
    ///
    /// - Parameter quality: 1…100, as everybody counts it.
    /// - Throws: `PictureError` where memory is short.
    package func jpeg(quality: Int = 82) throws -> [UInt8] {
        guard let handle = tjInitCompress() else { throw PictureError.noMemory("JPEG") }
        defer { tjDestroy(handle) }
        var file: UnsafeMutablePointer<UInt8>?
        var count: UInt = 0
        defer { tjFree(file) }
        let isGray = channels == 1
        let status = bytes.withUnsafeBufferPointer {
            tjCompress2(
                handle, $0.baseAddress, Int32(width), 0, Int32(height), (isGray ? TJPF_GRAY : TJPF_RGB).rawValue, &file,
                &count, Int32((isGray ? TJSAMP_GRAY : TJSAMP_420).rawValue), Int32(quality), TJFLAG_ACCURATEDCT)
        }
        guard status == 0, let file else { throw PictureError.noMemory("JPEG") }
        return Array(UnsafeBufferPointer(start: file, count: Int(count)))
    }

    /// The picture with its longer side at most `side` pixels; never enlarged.
    package func thumbnail(side: Int) -> Picture {
        let longer = max(width, height)
        guard longer > side else { return self }
        func scaled(_ length: Int) -> Int { max(1, (length * side + longer / 2) / longer) }
        return resized(width: scaled(width), height: scaled(height), interpolation: .bilinear)
    }

    /// The picture under a map, which is stretched over it: the hotter a place, the less of the picture is left.
    ///
    /// - Parameters:
    ///   - heat: Shape `[mapHeight, mapWidth]`, 0…1.
    package func overlaid(with heat: [Float], mapHeight: Int, mapWidth: Int) -> Picture {
        precondition(heat.count == mapHeight * mapWidth, "a map of \(mapHeight) × \(mapWidth) got \(heat.count) values")
        let levels = Picture(
            width: mapWidth, height: mapHeight, channels: 1,
            bytes: heat.map { UInt8(clamping: Int((255 * min(max($0, 0), 1)).rounded())) })
        let map = levels.resized(width: width, height: height, interpolation: .bilinear).bytes
        var result = color.bytes
        for (pixel, level) in map.enumerated() {
            let heat = Float(level) / 255
            let hue = Self.heatColor(heat)
            let cover = 0.75 * heat
            for channel in 0..<3 {
                let place = 3 * pixel + channel
                result[place] = UInt8(clamping: Int((1 - cover) * Float(result[place]) + cover * hue[channel]))
            }
        }
        return Picture(width: width, height: height, channels: 3, bytes: result)
    }

    /// Dark violet over red to light yellow: lightness rises all the way, so that nobody needs to tell the hues apart.
    private static func heatColor(_ heat: Float) -> [Float] {
        let stops: [[Float]] = [[40, 10, 80], [130, 30, 110], [215, 60, 70], [250, 140, 30], [252, 250, 160]]
        let place = heat * Float(stops.count - 1)
        let index = min(Int(place), stops.count - 2)
        let share = place - Float(index)
        return (0..<3).map { stops[index][$0] * (1 - share) + stops[index + 1][$0] * share }
    }
}
