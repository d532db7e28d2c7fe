// Resizing with Pillow's numbers, computing no more than the part that will be kept.

package import FinetuneModels

extension Picture {
    /// The picture at another size: Pillow's `resize((width, height), resample)`, bit for bit.
    ///
    /// Pillow from 13 on may run its vertical pass first where a picture shrinks more in height than in width;
    /// it then differs from this (and from earlier versions) by one level.
    /// - Precondition: Both sides are at least 1.
    package func resized(
        width: Int, height: Int, interpolation: InputRecipe.Interpolation, antialias: Bool = true
    ) -> Picture {
        resized(
            width: width, height: height, interpolation: interpolation, antialias: antialias, columns: 0..<width,
            rows: 0..<height)
    }

    /// A part of the picture at another size: the same pixels as a resize and then a crop, without the rest.
    ///
    /// - Parameters:
    ///   - width: What the whole picture's width becomes.
    ///   - height: What the whole picture's height becomes.
    ///   - antialias: Whether the filter widens when the picture shrinks.
    ///   - columns: The part to keep, within `0..<width`.
    ///   - rows: The part to keep, within `0..<height`.
    package func resized(
        width: Int, height: Int, interpolation: InputRecipe.Interpolation, antialias: Bool = true,
        columns: Range<Int>, rows: Range<Int>
    ) -> Picture {
        resized(
            ResizedAxis(length: width, kept: columns), ResizedAxis(length: height, kept: rows),
            interpolation: interpolation, antialias: antialias, fill: [0])
    }

    /// A part of a window of the picture at another size.
    ///
    /// - Parameters:
    ///   - fill: The levels of the border beyond the picture: one, or one a channel.
    ///   - rules: The library whose `nearest` pixel is taken.
    func resized(
        _ horizontal: ResizedAxis, _ vertical: ResizedAxis, interpolation: InputRecipe.Interpolation, antialias: Bool,
        fill: [UInt8], rules: InputRecipe.Rules = .standard
    ) -> Picture {
        for axis in [horizontal, vertical] {
            precondition(
                axis.length > 0 && axis.kept.lowerBound >= 0 && axis.kept.upperBound <= axis.length,
                "pixels \(axis.kept) of \(axis.length)")
        }
        if let columns = horizontal.copied(from: width), let rows = vertical.copied(from: height) {
            return cropped(columns: columns, rows: rows)
        }
        let fill = fill.count == channels ? fill : [UInt8](repeating: fill[0], count: channels)
        let filter: ResamplingFilter
        switch interpolation {
        case .nearest: return nearest(horizontal, vertical, fill: fill, rules: rules)
        case .box: filter = .box
        case .bilinear: filter = .triangle
        case .hamming: filter = .hamming
        case .bicubic: filter = .cubic
        case .lanczos: filter = .lanczos
        }
        return filtered(horizontal, vertical, fill: fill) {
            ResamplingWeights($0, inputSize: $1, filter: filter, antialias: antialias)
        }
    }

    /// The part of the picture in `columns` and `rows`.
    package func cropped(columns: Range<Int>, rows: Range<Int>) -> Picture {
        if columns == 0..<width, rows == 0..<height { return self }
        var part: [UInt8] = []
        part.reserveCapacity(columns.count * rows.count * channels)
        for y in rows {
            let row = y * width
            part += bytes[(row + columns.lowerBound) * channels..<(row + columns.upperBound) * channels]
        }
        return Picture(width: columns.count, height: rows.count, channels: channels, bytes: part)
    }

    private func nearest(
        _ horizontal: ResizedAxis, _ vertical: ResizedAxis, fill: [UInt8], rules: InputRecipe.Rules
    ) -> Picture {
        let pixels = rules == .keras || rules == .transformers ? Self.nearestExactPixels : Self.nearestPixels
        let (sourceColumns, sourceRows) = (pixels(horizontal, width), pixels(vertical, height))
        let count = sourceColumns.count * sourceRows.count * channels
        let part = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                var target = 0
                for y in sourceRows {
                    for x in sourceColumns {
                        let pixel = (y &* width &+ x) &* channels
                        let isInside = x >= 0 && x < width && y >= 0 && y < height
                        for channel in 0..<channels {
                            out[target &+ channel] = isInside ? pixels[pixel &+ channel] : fill[channel]
                        }
                        target &+= channels
                    }
                }
            }
            written = count
        }
        return Picture(width: sourceColumns.count, height: sourceRows.count, channels: channels, bytes: part)
    }

    /// Pillow adds the scale up, pixel by pixel, so this does, too: the rounding of the sums decides ties.
    private static func nearestPixels(_ axis: ResizedAxis, of inputSize: Int) -> [Int] {
        let window = axis.window ?? 0..<inputSize
        let scale = Double(window.count) / Double(axis.length)
        var position = scale * 0.5
        var pixels: [Int] = []
        for index in 0..<axis.kept.upperBound {
            if index >= axis.kept.lowerBound {
                pixels.append(window.lowerBound + min(Int(position), window.count - 1))
            }
            position += scale
        }
        return pixels
    }

    /// torch's `nearest-exact` and TensorFlow's half-pixel rule: here the rounding of single precision decides ties.
    private static func nearestExactPixels(_ axis: ResizedAxis, of inputSize: Int) -> [Int] {
        let window = axis.window ?? 0..<inputSize
        let scale = Float(window.count) / Float(axis.length)
        return axis.kept.map { window.lowerBound + min(Int((Float($0) + 0.5) * scale), window.count - 1) }
    }
}

// MARK: - Two passes

extension Picture {
    private func filtered(
        _ horizontal: ResizedAxis, _ vertical: ResizedAxis, fill: [UInt8],
        weights: (ResizedAxis, Int) -> ResamplingWeights
    ) -> Picture {
        let rows = vertical.copied(from: height)
        let verticalWeights = rows == nil ? weights(vertical, height) : nil
        let needed = rows ?? verticalWeights?.inputRange ?? 0..<height
        let narrowed =
            if let columns = horizontal.copied(from: width) {
                cropped(columns: columns, rows: needed)
            } else {
                resizedHorizontally(weights(horizontal, width), rows: needed, fill: fill)
            }
        guard let verticalWeights else { return narrowed }
        return narrowed.resizedVertically(verticalWeights, firstRow: needed.lowerBound, fill: fill)
    }

    /// Half a level in fixed point, so that the shift rounds.
    private static let half: Int32 = 1 << (ResamplingWeights.precision - 1)

    @inline(__always)
    private static func level(_ sum: Int32) -> UInt8 {
        UInt8(truncatingIfNeeded: max(0, min(255, sum >> ResamplingWeights.precision)))
    }

    private func resizedHorizontally(_ resampling: ResamplingWeights, rows: Range<Int>, fill: [UInt8]) -> Picture {
        let columns = resampling.starts.count
        let count = columns * rows.count * channels
        let resized = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                guard let pixels = pixels.baseAddress, var target = out.baseAddress else { return }
                for y in rows {
                    let row = pixels + y * width * channels
                    if channels == 3 {
                        Self.resizeColorRow(row, resampling, fill, into: target)
                    } else {
                        Self.resizeGrayRow(row, resampling, fill, into: target)
                    }
                    target += columns * channels
                }
            }
            written = count
        }
        return Picture(width: columns, height: rows.count, channels: channels, bytes: resized)
    }

    private static func resizeColorRow(
        _ row: UnsafePointer<UInt8>, _ resampling: ResamplingWeights, _ fill: [UInt8],
        into out: UnsafeMutablePointer<UInt8>
    ) {
        let fill = (red: Int32(fill[0]), green: Int32(fill[1]), blue: Int32(fill[2]))
        resampling.weights.withUnsafeBufferPointer { weights in
            for column in 0..<resampling.starts.count {
                var pixel = row + 3 &* resampling.starts[column]
                let (offset, border) = (resampling.offsets[column], resampling.borders[column])
                var red = half &+ border &* fill.red
                var green = half &+ border &* fill.green
                var blue = half &+ border &* fill.blue
                for tap in 0..<resampling.counts[column] {
                    let weight = weights[offset &+ tap]
                    red &+= Int32(pixel[0]) &* weight
                    green &+= Int32(pixel[1]) &* weight
                    blue &+= Int32(pixel[2]) &* weight
                    pixel += 3
                }
                out[3 &* column] = level(red)
                out[3 &* column &+ 1] = level(green)
                out[3 &* column &+ 2] = level(blue)
            }
        }
    }

    private static func resizeGrayRow(
        _ row: UnsafePointer<UInt8>, _ resampling: ResamplingWeights, _ fill: [UInt8],
        into out: UnsafeMutablePointer<UInt8>
    ) {
        let fill = Int32(fill[0])
        resampling.weights.withUnsafeBufferPointer { weights in
            for column in 0..<resampling.starts.count {
                let pixel = row + resampling.starts[column]
                let offset = resampling.offsets[column]
                var sum = half &+ resampling.borders[column] &* fill
                for tap in 0..<resampling.counts[column] { sum &+= Int32(pixel[tap]) &* weights[offset &+ tap] }
                out[column] = level(sum)
            }
        }
    }

    /// - Parameter firstRow: The row of the whole picture that is this one's row 0.
    private func resizedVertically(_ resampling: ResamplingWeights, firstRow: Int, fill: [UInt8]) -> Picture {
        let rows = resampling.starts.count
        let rowBytes = width * channels
        let resized = [UInt8](unsafeUninitializedCapacity: rows * rowBytes) { out, written in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: rowBytes) { sums in
                bytes.withUnsafeBufferPointer { pixels in
                    guard let pixels = pixels.baseAddress, let sums = sums.baseAddress, let out = out.baseAddress
                    else { return }
                    for y in 0..<rows {
                        sums.update(repeating: Self.half, count: rowBytes)
                        let border = resampling.borders[y]
                        if border != 0 {
                            for index in 0..<rowBytes { sums[index] &+= border &* Int32(fill[index % channels]) }
                        }
                        for tap in 0..<resampling.counts[y] {
                            let weight = resampling.weights[resampling.offsets[y] + tap]
                            let row = pixels + (resampling.starts[y] - firstRow + tap) * rowBytes
                            for index in 0..<rowBytes { sums[index] &+= Int32(row[index]) &* weight }
                        }
                        let target = out + y * rowBytes
                        for index in 0..<rowBytes { target[index] = Self.level(sums[index]) }
                    }
                }
            }
            written = rows * rowBytes
        }
        return Picture(width: width, height: rows, channels: channels, bytes: resized)
    }
}
