// Resizing with Pillow's numbers, computing no more than the part that will be kept.

package import FinetuneModels

extension Picture {
    /// The picture at another size: Pillow's `resize((width, height), resample)`, bit for bit.
    ///
    /// Pillow from 13 on may run its vertical pass first where a picture shrinks more in height than in width;
    /// it then differs from this (and from earlier versions) by one level.
    /// - Precondition: Both sides are at least 1.
    package func resized(width: Int, height: Int, interpolation: InputRecipe.Interpolation) -> Picture {
        resized(
            width: width, height: height, interpolation: interpolation, columns: 0..<width, rows: 0..<height)
    }

    /// A part of the picture at another size: the same pixels as a resize and then a crop, without the rest.
    ///
    /// - Parameters:
    ///   - width: What the whole picture's width becomes.
    ///   - height: What the whole picture's height becomes.
    ///   - columns: The part to keep, within `0..<width`.
    ///   - rows: The part to keep, within `0..<height`.
    package func resized(
        width: Int, height: Int, interpolation: InputRecipe.Interpolation, columns: Range<Int>, rows: Range<Int>
    ) -> Picture {
        precondition(width > 0 && height > 0, "a resize to \(width) × \(height)")
        precondition(
            columns.lowerBound >= 0 && columns.upperBound <= width && rows.lowerBound >= 0 && rows.upperBound <= height,
            "columns \(columns) and rows \(rows) of \(width) × \(height)")
        if width == self.width, height == self.height { return cropped(columns: columns, rows: rows) }
        switch interpolation {
        case .nearest: return nearest(width: width, height: height, columns: columns, rows: rows)
        case .bilinear: return filtered(.triangle, width: width, height: height, columns: columns, rows: rows)
        case .bicubic: return filtered(.cubic, width: width, height: height, columns: columns, rows: rows)
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

    private func nearest(width: Int, height: Int, columns: Range<Int>, rows: Range<Int>) -> Picture {
        let sourceColumns = Self.nearestPixels(inputSize: self.width, outputSize: width, range: columns)
        let sourceRows = Self.nearestPixels(inputSize: self.height, outputSize: height, range: rows)
        let count = columns.count * rows.count * channels
        let part = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                var target = 0
                for y in sourceRows {
                    for x in sourceColumns {
                        let pixel = (y &* self.width &+ x) &* channels
                        for channel in 0..<channels { out[target &+ channel] = pixels[pixel &+ channel] }
                        target &+= channels
                    }
                }
            }
            written = count
        }
        return Picture(width: columns.count, height: rows.count, channels: channels, bytes: part)
    }

    /// Pillow adds the scale up, pixel by pixel, so this does, too: the rounding of the sums decides ties.
    private static func nearestPixels(inputSize: Int, outputSize: Int, range: Range<Int>) -> [Int] {
        let scale = Double(inputSize) / Double(outputSize)
        var position = scale * 0.5
        var pixels: [Int] = []
        for index in 0..<range.upperBound {
            if index >= range.lowerBound { pixels.append(min(Int(position), inputSize - 1)) }
            position += scale
        }
        return pixels
    }
}

// MARK: - Two passes

extension Picture {
    private func filtered(
        _ filter: ResamplingFilter, width: Int, height: Int, columns: Range<Int>, rows: Range<Int>
    ) -> Picture {
        let vertical = ResamplingWeights(inputSize: self.height, outputSize: height, range: rows, filter: filter)
        let needed = height == self.height ? rows : vertical.inputRange
        let narrowed: Picture
        if width == self.width {
            narrowed = cropped(columns: columns, rows: needed)
        } else {
            let horizontal = ResamplingWeights(inputSize: self.width, outputSize: width, range: columns, filter: filter)
            narrowed = resizedHorizontally(horizontal, rows: needed)
        }
        return height == self.height ? narrowed : narrowed.resizedVertically(vertical, firstRow: needed.lowerBound)
    }

    /// Half a level in fixed point, so that the shift rounds.
    private static let half: Int32 = 1 << (ResamplingWeights.precision - 1)

    @inline(__always)
    private static func level(_ sum: Int32) -> UInt8 {
        UInt8(truncatingIfNeeded: max(0, min(255, sum >> ResamplingWeights.precision)))
    }

    private func resizedHorizontally(_ resampling: ResamplingWeights, rows: Range<Int>) -> Picture {
        let columns = resampling.starts.count
        let count = columns * rows.count * channels
        let resized = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                guard let pixels = pixels.baseAddress, var target = out.baseAddress else { return }
                for y in rows {
                    let row = pixels + y * width * channels
                    if channels == 3 {
                        Self.resizeColorRow(row, resampling, into: target)
                    } else {
                        Self.resizeGrayRow(row, resampling, into: target)
                    }
                    target += columns * channels
                }
            }
            written = count
        }
        return Picture(width: columns, height: rows.count, channels: channels, bytes: resized)
    }

    private static func resizeColorRow(
        _ row: UnsafePointer<UInt8>, _ resampling: ResamplingWeights, into out: UnsafeMutablePointer<UInt8>
    ) {
        resampling.weights.withUnsafeBufferPointer { weights in
            for column in 0..<resampling.starts.count {
                var pixel = row + 3 &* resampling.starts[column]
                let offset = resampling.offsets[column]
                var (red, green, blue) = (half, half, half)
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
        _ row: UnsafePointer<UInt8>, _ resampling: ResamplingWeights, into out: UnsafeMutablePointer<UInt8>
    ) {
        resampling.weights.withUnsafeBufferPointer { weights in
            for column in 0..<resampling.starts.count {
                let pixel = row + resampling.starts[column]
                let offset = resampling.offsets[column]
                var sum = half
                for tap in 0..<resampling.counts[column] { sum &+= Int32(pixel[tap]) &* weights[offset &+ tap] }
                out[column] = level(sum)
            }
        }
    }

    /// - Parameter firstRow: The row of the whole picture that is this one's row 0.
    private func resizedVertically(_ resampling: ResamplingWeights, firstRow: Int) -> Picture {
        let rows = resampling.starts.count
        let rowBytes = width * channels
        let resized = [UInt8](unsafeUninitializedCapacity: rows * rowBytes) { out, written in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: rowBytes) { sums in
                bytes.withUnsafeBufferPointer { pixels in
                    guard let pixels = pixels.baseAddress, let sums = sums.baseAddress, let out = out.baseAddress
                    else { return }
                    for y in 0..<rows {
                        sums.update(repeating: Self.half, count: rowBytes)
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
