// Pillow's resize, number for number (libImaging/Resample.c): filters widened when shrinking, weights in 22-bit fixed
// point, a horizontal and a vertical pass, the first rounded to 8 bits. Only what a crop keeps is computed.

internal import FinetuneModels

extension Picture {
    /// A region of the picture as it looks at another size.
    ///
    /// - Parameters:
    ///   - width: The size that the whole picture is brought to.
    ///   - crop: The pixels of that size that are wanted; it may reach beyond, where there is black.
    func resized(
        width newWidth: Int, height newHeight: Int, _ interpolation: InputRecipe.Interpolation,
        crop: (x: Int, y: Int, width: Int, height: Int)
    ) -> Picture {
        let columns = max(0, crop.x)..<max(max(0, crop.x), min(newWidth, crop.x + crop.width))
        let rows = max(0, crop.y)..<max(max(0, crop.y), min(newHeight, crop.y + crop.height))
        let inside =
            interpolation == .nearest
            ? nearest(newWidth, newHeight, columns, rows)
            : filtered(newWidth, newHeight, interpolation, columns, rows)
        guard columns.count != crop.width || rows.count != crop.height else {
            return Picture(width: crop.width, height: crop.height, bytes: inside)
        }
        var framed = [UInt8](repeating: 0, count: 3 * crop.width * crop.height)
        for (index, row) in rows.enumerated() where !columns.isEmpty {
            let start = 3 * ((row - crop.y) * crop.width + columns.lowerBound - crop.x)
            let count = 3 * columns.count
            framed.replaceSubrange(start..<start + count, with: inside[index * count..<(index + 1) * count])
        }
        return Picture(width: crop.width, height: crop.height, bytes: framed)
    }

    private func nearest(_ newWidth: Int, _ newHeight: Int, _ columns: Range<Int>, _ rows: Range<Int>) -> [UInt8] {
        /// Pillow adds the step up rather than multiplying, and truncates.
        func positions(_ size: Int, _ newSize: Int) -> [Int] {
            let step = Double(size) / Double(newSize)
            var position = step / 2
            return (0..<newSize).map { _ in
                defer { position += step }
                return min(Int(position), size - 1)
            }
        }
        let (xs, ys) = (positions(width, newWidth), positions(height, newHeight))
        var result: [UInt8] = []
        result.reserveCapacity(3 * columns.count * rows.count)
        for row in rows {
            for column in columns {
                let start = 3 * (ys[row] * width + xs[column])
                result.append(contentsOf: bytes[start..<start + 3])
            }
        }
        return result
    }

    private func filtered(
        _ newWidth: Int, _ newHeight: Int, _ interpolation: InputRecipe.Interpolation, _ columns: Range<Int>, _ rows: Range<Int>
    ) -> [UInt8] {
        let horizontal = FilterBank(from: width, to: newWidth, interpolation, columns)
        let vertical = FilterBank(from: height, to: newHeight, interpolation, rows)
        guard let first = vertical.starts.first, let lastStart = vertical.starts.last, let lastCount = vertical.counts.last else { return [] }
        let needed = first..<lastStart + lastCount
        let rowBytes = 3 * columns.count
        let between = [UInt8](unsafeUninitializedCapacity: needed.count * rowBytes) { target, count in
            bytes.withUnsafeBufferPointer { source in
                guard let source = source.baseAddress, let target = target.baseAddress else { return }
                for (index, row) in needed.enumerated() {
                    horizontal.filterRow(source + 3 * width * row, into: target + index * rowBytes)
                }
            }
            count = needed.count * rowBytes
        }
        return [UInt8](unsafeUninitializedCapacity: rows.count * rowBytes) { target, count in
            between.withUnsafeBufferPointer { source in
                guard let source = source.baseAddress, let target = target.baseAddress else { return }
                vertical.filterColumns(source - first * rowBytes, rowBytes, into: target)
            }
            count = rows.count * rowBytes
        }
    }
}

/// The window and the weights of each output pixel along one axis.
private struct FilterBank {
    private(set) var starts: [Int] = []
    private(set) var counts: [Int] = []
    /// `stride` weights for each output pixel, in units of 2⁻²².
    private var weights: [Int32] = []
    private let stride: Int
    private static let bits: Int32 = 22
    private static let half: Int32 = 1 << 21

    init(from size: Int, to newSize: Int, _ interpolation: InputRecipe.Interpolation, _ wanted: Range<Int>) {
        let scale = Double(size) / Double(newSize)
        let widening = max(scale, 1)
        let support = (interpolation == .bicubic ? 2 : 1) * widening
        stride = size == newSize ? 1 : Int(support.rounded(.up)) * 2 + 1
        for position in wanted {
            if size == newSize {  // Pillow leaves an axis alone that keeps its size.
                starts.append(position)
                counts.append(1)
                weights.append(1 << Self.bits)
                continue
            }
            let center = (Double(position) + 0.5) * scale
            let start = max(0, Int(center - support + 0.5))
            let end = min(size, Int(center + support + 0.5))
            var window = (start..<end).map { index in
                Self.value((Double(index) - center + 0.5) / widening, interpolation)
            }
            let sum = window.reduce(0, +)
            if sum != 0 { window = window.map { $0 / sum } }
            starts.append(start)
            counts.append(window.count)
            let fixed = window.map { Int32(($0 * Double(1 << Self.bits) + ($0 < 0 ? -0.5 : 0.5)).rounded(.towardZero)) }
            weights += fixed + [Int32](repeating: 0, count: stride - fixed.count)
        }
    }

    /// The triangle, and the cubic with a = −0.5.
    private static func value(_ x: Double, _ interpolation: InputRecipe.Interpolation) -> Double {
        let x = abs(x)
        guard interpolation == .bicubic else { return x < 1 ? 1 - x : 0 }
        let a = -0.5
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
        return 0
    }

    @inline(__always) private static func clip(_ sum: Int32) -> UInt8 {
        let value = sum >> bits
        return UInt8(truncatingIfNeeded: value < 0 ? 0 : value > 255 ? 255 : value)
    }

    /// Filters one row of RGB pixels.
    func filterRow(_ source: UnsafePointer<UInt8>, into target: UnsafeMutablePointer<UInt8>) {
        weights.withUnsafeBufferPointer { weights in
            guard var weight = weights.baseAddress else { return }
            var out = target
            for index in starts.indices {
                var pixel = source + 3 * starts[index]
                var (red, green, blue) = (Self.half, Self.half, Self.half)
                for tap in 0..<counts[index] {
                    let factor = weight[tap]
                    red &+= Int32(pixel[0]) &* factor
                    green &+= Int32(pixel[1]) &* factor
                    blue &+= Int32(pixel[2]) &* factor
                    pixel += 3
                }
                out[0] = Self.clip(red)
                out[1] = Self.clip(green)
                out[2] = Self.clip(blue)
                out += 3
                weight += stride
            }
        }
    }

    /// Filters whole rows of `rowBytes` bytes: each output row is a weighted sum of rows of `source`.
    func filterColumns(_ source: UnsafePointer<UInt8>, _ rowBytes: Int, into target: UnsafeMutablePointer<UInt8>) {
        let sums = UnsafeMutablePointer<Int32>.allocate(capacity: rowBytes)
        defer { sums.deallocate() }
        weights.withUnsafeBufferPointer { weights in
            for index in starts.indices {
                for column in 0..<rowBytes { sums[column] = Self.half }
                for tap in 0..<counts[index] {
                    let row = source + (starts[index] + tap) * rowBytes
                    let factor = weights[index * stride + tap]
                    for column in 0..<rowBytes { sums[column] &+= Int32(row[column]) &* factor }
                }
                let out = target + index * rowBytes
                for column in 0..<rowBytes { out[column] = Self.clip(sums[column]) }
            }
        }
    }
}
