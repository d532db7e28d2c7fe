// 3×3 convolutions with a quarter of the multiplications: F(4×4, 3×3) of Lavin and Gray 2016, for processors on which
// oneDNN has no such kernel. oneDNN multiplies the matrices; the transforms are here.
//
// Images are blocked by eight channels, `[batch, channels/8, height, width, 8]`. Each tile of 4×4 results is made of
// 6×6 pixels, which become 36 numbers a channel; for each of the 36 a matrix of filters × channels meets all tiles.

internal import CFinetuneDNNL

/// One convolution's place in its images.
struct Winograd {
    let batch, channels, filters: Int
    /// Of the images that it reads.
    let height, width: Int
    let edges: Edges
    /// Of the images that it makes.
    let outputHeight, outputWidth: Int

    private typealias Lanes = SIMD8<Float>

    /// Pixels of a tile's side, in what is made and in what is read.
    private let side = 4
    private let window = 6
    /// Matrices that meet a tile.
    let points = 36
    private var tilesDown: Int { (outputHeight + side - 1) / side }
    private var tilesAcross: Int { (outputWidth + side - 1) / side }
    var tiles: Int { batch * tilesDown * tilesAcross }

    // MARK: Filters

    /// `G·g·Gᵀ` of each filter and channel, shape `[points, filters, channels]`, in double precision.
    ///
    /// - Parameter weight: Shape `[filters, channels, 3, 3]`.
    func transformed(_ weight: Tensor) -> Tensor {
        Tensor.unsafelyFilled(shape: [points, filters, channels]) { out in
            nonisolated(unsafe) let out = out
            weight.withUnsafeBufferPointer { weight in
                nonisolated(unsafe) let weight = weight
                ParallelLoop.run(filters) { filter in
                    withUnsafeTemporaryAllocation(of: Double.self, capacity: 9 + window * 3) { scratch in
                        guard let kernel = scratch.baseAddress else { return }
                        let rows = kernel + 9
                        for channel in 0..<channels {
                            for index in 0..<9 {
                                kernel[index] = Double(weight[(filter * channels + channel) * 9 + index])
                            }
                            for x in 0..<3 { transformFilter(kernel + x, step: 3) { rows[$1 * 3 + x] = $0 } }
                            for row in 0..<window {
                                transformFilter(rows + row * 3, step: 1) { value, column in
                                    let point = row * window + column
                                    out[(point * filters + filter) * channels + channel] = Float(value)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// `G·g` of three numbers, given one by one.
    @inline(__always)
    private func transformFilter(
        _ g: UnsafePointer<Double>, step: Int, _ store: (_ value: Double, _ index: Int) -> Void
    ) {
        let (first, middle, last) = (g[0], g[step], g[2 * step])
        store(first / 4, 0)
        store((first + last + middle) / -6, 1)
        store((first + last - middle) / -6, 2)
        store((first + 4 * last + 2 * middle) / 24, 3)
        store((first + 4 * last - 2 * middle) / 24, 4)
        store(last, 5)
    }

    // MARK: Images

    /// `Bᵀ·d·B` of every tile, shape `[points, channels/8, tiles, 8]`.
    func transformInput(_ x: UnsafePointer<Float>, into v: UnsafeMutablePointer<Float>) {
        let blocks = channels / 8
        let pointStride = blocks * tiles * Self.laneBytes
        ParallelLoop.run(batch * blocks) { index in
            let (image, block) = (index / blocks, index % blocks)
            let plane = UnsafeRawPointer(x + (image * blocks + block) * height * width * 8)
            withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 2 * points) { scratch in
                guard let rows = UnsafeMutableRawPointer(scratch.baseAddress) else { return }
                let border = rows + points * Self.laneBytes
                var target =
                    UnsafeMutableRawPointer(v) + (block * tiles + image * tilesDown * tilesAcross) * Self.laneBytes
                for down in 0..<tilesDown {
                    for across in 0..<tilesAcross {
                        let (top, left) = (down * side - edges.top, across * side - edges.left)
                        let (pixels, pitch) = pixels(plane, top, left, border: border)
                        for row in 0..<window {
                            transformInput(
                                pixels + row * pitch, step: Self.laneBytes,
                                into: rows + row * rowBytes, step: Self.laneBytes)
                        }
                        for column in 0..<window {
                            transformInput(
                                UnsafeRawPointer(rows) + column * Self.laneBytes, step: rowBytes,
                                into: target + column * pointStride, step: window * pointStride)
                        }
                        target += Self.laneBytes
                    }
                }
            }
        }
    }

    /// Bytes of eight channels' numbers, and of a row of those that a tile is made of.
    private static let laneBytes = 32
    private var rowBytes: Int { window * Self.laneBytes }

    /// Where the 6×6 pixels from a corner on are, and how many bytes apart their rows: in the image itself, or copied to
    /// `border` with zeros for what lies outside.
    @inline(__always)
    private func pixels(_ plane: UnsafeRawPointer, _ top: Int, _ left: Int, border: UnsafeMutableRawPointer) -> (
        UnsafeRawPointer, pitch: Int
    ) {
        let pitch = width * Self.laneBytes
        if top >= 0, left >= 0, top + window <= height, left + window <= width {
            return (plane + top * pitch + left * Self.laneBytes, pitch)
        }
        for row in 0..<window {
            for column in 0..<window {
                let (y, x) = (top + row, left + column)
                let isInside = y >= 0 && y < height && x >= 0 && x < width
                let pixel =
                    isInside ? plane.load(fromByteOffset: y * pitch + x * Self.laneBytes, as: Lanes.self) : .zero
                border.storeBytes(
                    of: pixel, toByteOffset: row * rowBytes + column * Self.laneBytes, as: Lanes.self)
            }
        }
        return (UnsafeRawPointer(border), rowBytes)
    }

    /// `Bᵀ·d` of six numbers, `step` bytes apart.
    @inline(__always)
    private func transformInput(
        _ source: UnsafeRawPointer, step: Int, into o: UnsafeMutableRawPointer, step outStep: Int
    ) {
        func d(_ index: Int) -> Lanes { source.load(fromByteOffset: index * step, as: Lanes.self) }
        func store(_ value: Lanes, _ index: Int) {
            o.storeBytes(of: value, toByteOffset: index * outStep, as: Lanes.self)
        }
        let (d1, d2, d3, d4) = (d(1), d(2), d(3), d(4))
        let even = d4 - 4 * d2
        let odd = d3 - 4 * d1
        let difference = d4 - d2
        let slope = 2 * (d3 - d1)
        store(4 * d(0) - 5 * d2 + d4, 0)
        store(even + odd, 1)
        store(even - odd, 2)
        store(difference + slope, 3)
        store(difference - slope, 4)
        store(4 * d1 - 5 * d3 + d(5), 5)
    }

    /// `Aᵀ·m·A` of every tile, plus bias and residual, activated.
    ///
    /// - Parameters:
    ///   - m: Shape `[points, filters/8, tiles, 8]`.
    ///   - residual: Images as those that are made; nil adds none.
    ///   - slope: What numbers below 0 are multiplied with: 0 for a ReLU, 1 for none.
    func transformOutput(
        _ m: UnsafePointer<Float>, bias: UnsafePointer<Float>, residual: UnsafePointer<Float>?, slope: Float,
        into y: UnsafeMutablePointer<Float>
    ) {
        let blocks = filters / 8
        let pointStride = blocks * tiles * Self.laneBytes
        ParallelLoop.run(batch * blocks) { index in
            let (image, block) = (index / blocks, index % blocks)
            let offset = (image * blocks + block) * outputHeight * outputWidth * 8
            let target = UnsafeMutableRawPointer(y + offset)
            let added = residual.map { UnsafeRawPointer($0 + offset) }
            let shift = UnsafeRawPointer(bias + block * 8).loadUnaligned(as: Lanes.self)
            withUnsafeTemporaryAllocation(of: Lanes.self, capacity: side * window) { scratch in
                guard let rows = UnsafeMutableRawPointer(scratch.baseAddress) else { return }
                var source = UnsafeRawPointer(m) + (block * tiles + image * tilesDown * tilesAcross) * Self.laneBytes
                for down in 0..<tilesDown {
                    for across in 0..<tilesAcross {
                        for column in 0..<window {
                            let made = transformOutput(source + column * pointStride, step: window * pointStride)
                            let first = rows + column * Self.laneBytes
                            for row in 0..<side {
                                first.storeBytes(of: made[row], toByteOffset: row * rowBytes, as: Lanes.self)
                            }
                        }
                        for row in 0..<min(side, outputHeight - down * side) {
                            let made = transformOutput(
                                UnsafeRawPointer(rows) + row * rowBytes, step: Self.laneBytes)
                            var place = ((down * side + row) * outputWidth + across * side) * Self.laneBytes
                            for column in 0..<min(side, outputWidth - across * side) {
                                var sum = made[column] + shift
                                if let added { sum += added.load(fromByteOffset: place, as: Lanes.self) }
                                let result = slope == 1 ? sum : sum.replacing(with: sum * slope, where: sum .< .zero)
                                target.storeBytes(of: result, toByteOffset: place, as: Lanes.self)
                                place += Self.laneBytes
                            }
                        }
                        source += Self.laneBytes
                    }
                }
            }
        }
    }

    /// `Aᵀ·m` of six numbers, `step` bytes apart: four.
    @inline(__always)
    private func transformOutput(_ source: UnsafeRawPointer, step: Int) -> InlineArray<4, Lanes> {
        func m(_ index: Int) -> Lanes { source.load(fromByteOffset: index * step, as: Lanes.self) }
        let (m1, m2, m3, m4) = (m(1), m(2), m(3), m(4))
        let near = (sum: m1 + m2, difference: m1 - m2)
        let far = (sum: m3 + m4, difference: m3 - m4)
        return [
            m(0) + near.sum + far.sum, near.difference + 2 * far.difference, near.sum + 4 * far.sum,
            near.difference + 8 * far.difference + m(5),
        ]
    }
}

extension FoldedConvolution {
    /// Whether `Winograd` computes this convolution faster than oneDNN's direct kernel: where that blocks channels by
    /// eight, and channels and pixels are many enough to pay for the transforms, and for the memory of filters that are
    /// four times as many numbers.
    func suitsTransforms(_ precision: Precision, _ activation: Activation?, height: Int, width: Int) -> Bool {
        hasTransforms(precision) && finetune_blocks_by_eight() != 0 && height * width >= 64
            && inputChannels >= 32 && filters >= 32
            && (activation == nil || activation == .relu || activation == .leakyReLU)
    }
}
